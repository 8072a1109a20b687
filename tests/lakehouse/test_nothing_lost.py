"""Whatever comes, in whatever order, and comes again: each row is in silver, in the DLQ, or beside a newer one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_ingest.lakehouse import dead_letters_of, replay_dlq
from tests.lakehouse.conftest import Workbench, csv_table, run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[str, str]
"""A row of the source: its id and amount as text."""
Step = tuple[str, int, list[Row]]
"""`load` of a day with rows, or a `replay`."""

ROWS = st.lists(
    st.tuples(st.sampled_from(["1", "2", "3", "", "x"]), st.sampled_from(["1", "2", "30", "-4", "bad", ""])), max_size=6
)
STEPS = st.lists(
    st.one_of(st.tuples(st.just("load"), st.integers(1, 3), ROWS), st.just(("replay", 0, []))), min_size=1, max_size=5
)
TABLE = csv_table(
    {"columns": {"id": "int", "amount": "int"}, "sequence_by": ["amount"]},
    quality={"rules": [{"name": "positive", "expect": "amount > 0"}]},
)
FIX = {"amount": "if(amount = 'bad', '50', amount)"}


def accepted(row: Row) -> bool:
    return row[0].isdigit() and row[1].isdigit()


class Oracle:
    """The same in plain Python: the days' newest rows, and which of their letters a replay has fixed."""

    def __init__(self) -> None:
        self.days: dict[int, list[Row]] = {}
        self.fixed: dict[int, Counter[Row]] = {}

    def load(self, day: int, rows: list[Row]) -> None:
        self.days[day] = rows
        here = Counter(rows)
        before = self.fixed.get(day, Counter())
        self.fixed[day] = Counter({row: min(count, here[row]) for row, count in before.items() if here[row]})

    def replay(self) -> None:
        for day, rows in self.days.items():
            fixable = Counter(row for row in rows if row[1] == "bad" and row[0].isdigit())
            self.fixed[day] = fixable

    def silver(self) -> list[tuple[int, int]]:
        newest: dict[int, int] = {}
        for day, rows in self.days.items():
            for row in [*filter(accepted, rows), *((each[0], "50") for each in self.fixed[day].elements())]:
                newest[int(row[0])] = max(newest.get(int(row[0]), 0), int(row[1]))
        return sorted(newest.items())

    def letters(self) -> tuple[Counter[Row], Counter[Row]]:
        """The rows whose letters are open, and those that were replayed."""
        rejected = Counter(row for rows in self.days.values() for row in rows if not accepted(row))
        replayed = sum(self.fixed.values(), Counter[Row]())
        return rejected - replayed, replayed


@pytest.mark.slow
@pytest.mark.spark
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_gate_dlq_and_silver_lose_and_double_nothing(spark: SparkSession, steps: list[Step]) -> None:
    with TemporaryDirectory() as folder:
        bench, oracle = Workbench(spark, Path(folder)), Oracle()
        for number, (what, day, rows) in enumerate(steps):
            if what == "replay":
                replay_dlq(bench.spark, bench.lake, "orders", TABLE, run(20 + number), fix=FIX)
                oracle.replay()
                continue
            text = "".join(f"{row[0]},{row[1]}\n" for row in rows)
            loaded = bench.load(TABLE, bench.write(f"{day}.csv", f"id,amount\n{text}"), day=day)
            oracle.load(day, rows)
            assert loaded.rows.read == len(rows)
            assert loaded.rows.unaccounted == 0
        if oracle.days:
            assert bench.rows(bench.lake.silver("orders"), "id", "amount") == oracle.silver()
            found = dead_letters_of(spark, bench.lake, "orders", status=None, limit=1000)
            by_status = {
                status: Counter(as_row(letter.payload) for letter in found if letter.status == status)
                for status in ("open", "replayed")
            }
            assert (by_status["open"], by_status["replayed"]) == oracle.letters()


def as_row(payload: str | None) -> Row:
    row = json.loads(payload or "{}")
    return row.get("id", ""), row.get("amount", "")
