"""Any sequence of arrivals, rewritten files, late days, crashes, retries and re-runs ends as one clean pass would.

The oracle is a dictionary: the last content of each day that bronze took, and per key the newest day's good row.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from airflow_ingest.lakehouse import ingest_bronze, merge_silver, quality_gate
from airflow_ingest.lakehouse.progress import progress_of
from tests.chaos.faults import Write, watching
from tests.lakehouse.conftest import Workbench, csv_table, run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

ALL = os.environ.get("CHAOS") == "all"
TABLE = csv_table({"sequence_by": []})
LAST_DAY = 9

Rows = dict[int, int | None]
"""What a day's file says of its keys; a key without a value has a row that cannot be cast."""


class Killed(BaseException):
    """The task is gone; nothing after it runs."""


@dataclass(frozen=True)
class Run:
    """One run of a day: what its file says by then, who starts it, and the write that it dies at, if any."""

    day: int
    rows: Rows
    kind: str
    killed: tuple[int, str] | None


runs = st.builds(
    Run,
    day=st.integers(1, 4),
    rows=st.dictionaries(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 99)), max_size=3),
    kind=st.sampled_from(["live", "live", "backfill"]),
    killed=st.one_of(st.none(), st.tuples(st.integers(0, 7), st.sampled_from(["before", "after"]))),
)
folders = itertools.count()


@settings(
    max_examples=200,
    deadline=None,
    database=None,
    phases=(Phase.explicit, Phase.generate) if ALL else (Phase.explicit,),
    suppress_health_check=list(HealthCheck),
)
@example([Run(1, {0: 5}, "live", None), Run(2, {0: 7, 1: 1}, "live", None), Run(2, {1: 1}, "backfill", None)])
@example([Run(1, {0: 5}, "live", (3, "after")), Run(2, {1: 1}, "live", None)])
@given(sequence=st.lists(runs, min_size=2, max_size=6))
def test_any_sequence_ends_as_one_clean_pass_would(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, sequence: list[Run]
) -> None:
    bench = Workbench(spark, tmp_path_factory.mktemp(f"sequence{next(folders)}"))
    taken: dict[int, Rows] = {}
    for each in sequence:
        try:
            with watching(*deadly(each.killed, lambda each=each: taken.__setitem__(each.day, each.rows))):
                load(bench, each)
        except Killed:
            continue
    if not taken:
        return
    if progress_of(spark, bench.lake, "orders").behind:
        load(bench, Run(LAST_DAY, {}, "live", None))
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == published(taken)
    assert bench.rows(bench.lake.bronze("orders"), "id", "amount") == sorted(
        ((str(key), "bad" if value is None else str(value)) for rows in taken.values() for key, value in rows.items()),
        key=repr,
    )
    rejected = sorted(key for rows in taken.values() for key, value in rows.items() if value is None)
    letters = spark.read.format("delta").load(bench.lake.dlq("orders")).where("status = 'open'")
    assert sorted(int(row[0]) for row in letters.selectExpr("get_json_object(payload, '$.id')").collect()) == rejected


def load(bench: Workbench, each: Run) -> None:
    """The steps of a run: its own batch and, live, all that is pending."""
    body = "".join(f"{key},{'bad' if value is None else value},x\n" for key, value in each.rows.items())
    file = bench.write(f"{each.day}.csv", f"id,amount,note\n{body}")
    who = run(each.day, each.kind)
    loaded = ingest_bronze(bench.spark, bench.lake, "orders", TABLE, who, files=file)
    for batch in loaded.pending:
        gate = quality_gate(bench.spark, bench.lake, "orders", TABLE, who, batch)
        merge_silver(bench.spark, bench.lake, "orders", TABLE, who, batch, gate)


def deadly(killed: tuple[int, str] | None, bronze_took: Any) -> tuple[Any, Any]:
    number, moment = killed or (-1, "")

    def before(write: Write) -> None:
        if (write.number, "before") == (number, moment):
            raise Killed

    def after(write: Write) -> None:
        if write.what == "write bronze/orders":
            bronze_took()
        if (write.number, "after") == (number, moment):
            raise Killed

    return before, after


def published(taken: dict[int, Rows]) -> list[tuple[int, int]]:
    """Per key the good row of the newest day."""
    newest = {key: value for day in sorted(taken) for key, value in taken[day].items() if value is not None}
    return sorted(newest.items(), key=repr)
