"""Arrivals, rewritten files, late days, deletions, crashes, retries, re-runs and runs side by side, in any sequence,
end as one clean pass would.

The oracle is a dictionary: the last content of each day that bronze took, and per key the newest day's good row.
"""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_ingest.lakehouse import Interval, RunInfo, ingest_bronze, merge_silver, quality_gate
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.runtime import session
from tests.chaos.faults import Write, watching
from tests.lakehouse.conftest import Workbench, csv_table
from tests.pins import Kept

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.model import RunKind

pytestmark = pytest.mark.spark

ALL = os.environ.get("CHAOS") == "all"
TABLE = csv_table({"sequence_by": [], "delete_when": "note = 'gone'"})
FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
LAST_DAY = 9
ROOM = 10
"""Days, and keys, that a sequence has to itself: many share a lake, since a new one costs more than a sequence."""
SHARING = 20
REPORT = Path("chaos-sequences.txt")
"""Has a line for each sequence that came out right."""

Value = int | Literal["gone"] | None
Rows = dict[int, Value]
"""What a day's file says of its keys; a key without a value has a row that cannot be cast."""


class Killed(BaseException):
    """The task is gone; nothing after it runs."""


@dataclass(frozen=True)
class Run:
    """One run of a day: what its file says by then, who starts it, and the write that it dies at, if any.

    A `retry` finds what the attempt before it has pinned. A run `beside` the next one starts with it, if that is
    another day's; then neither dies.
    """

    day: int
    rows: Rows
    kind: RunKind = "live"
    killed: tuple[int, str] | None = None
    retry: bool = False
    beside: bool = False


runs = st.builds(
    Run,
    day=st.integers(1, 4),
    rows=st.dictionaries(st.integers(0, 3), st.one_of(st.integers(0, 99), st.just("gone"), st.none()), max_size=3),
    kind=st.sampled_from(["live", "live", "backfill"]),
    killed=st.one_of(st.none(), st.tuples(st.integers(0, 8), st.sampled_from(["before", "after"]))),
    retry=st.booleans(),
    beside=st.sampled_from([False, False, True]),
)


@pytest.fixture
def stages(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Days]:
    """Where sequences take place, one after the other: further on in time, and now and then in a lake of its own."""

    def all_of_them() -> Iterator[Days]:
        for number in itertools.count():
            if number % SHARING == 0:
                bench = Workbench(spark, tmp_path_factory.mktemp(f"lake{number}"))
            yield Days(bench, number % SHARING * ROOM)

    return all_of_them()


@pytest.mark.parametrize(
    "sequence",
    [
        pytest.param([Run(1, {0: 5}), Run(2, {0: 7, 1: 1}), Run(2, {1: 1}, "backfill")], id="a day is rewritten"),
        pytest.param(
            [Run(1, {0: 5}, killed=(3, "after")), Run(2, {1: 1})], id="a run is killed", marks=pytest.mark.slow
        ),
        pytest.param(
            [Run(2, {0: "gone"}), Run(1, {0: 5, 1: 1}), Run(2, {})], id="a day is late", marks=pytest.mark.slow
        ),
        pytest.param([Run(1, {0: 5, 1: None}, beside=True), Run(2, {0: "gone", 1: 1})], id="two run side by side"),
    ],
)
def test_a_known_sequence_ends_as_one_clean_pass_would(stages: Iterator[Days], sequence: list[Run]) -> None:
    next(stages).pass_through(sequence)


@pytest.mark.skipif(not ALL, reason="an hour long: make chaos")
@pytest.mark.parametrize("part", range(2))
@settings(
    max_examples=100,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(sequence=st.lists(runs, min_size=2, max_size=6))
def test_any_sequence_ends_as_one_clean_pass_would(part: int, stages: Iterator[Days], sequence: list[Run]) -> None:
    """In two parts side by side: one alone leaves half the machine idle."""
    next(stages).pass_through(sequence)
    with REPORT.open("a") as report:
        report.write(f"{len(sequence)} runs, equal: {sequence}\n")


@dataclass
class Days:
    """A lake from some day and key on, and what it should hold there: the rows of each day that bronze has taken."""

    bench: Workbench
    offset: int
    taken: dict[int, Rows] = field(default_factory=dict)
    pins: dict[int, Kept] = field(default_factory=dict)

    def pass_through(self, sequence: list[Run]) -> None:
        """All of a sequence; then what is here must be what one clean pass leaves."""
        left = list(sequence)
        while left:
            each = left.pop(0)
            if each.beside and left and left[0].day != each.day:
                self.side_by_side(each, left.pop(0))
            else:
                self.take(each)
        if self.taken:
            self.settle()
            self.check()

    def take(self, each: Run) -> None:
        """A run, to its end or its death."""
        number, moment = each.killed or (-1, "")

        def before(write: Write) -> None:
            if (write.number, "before") == (number, moment):
                raise Killed

        def after(write: Write) -> None:
            if write.what == "write bronze/orders":
                self.taken[each.day] = each.rows
            if (write.number, "after") == (number, moment):
                raise Killed

        try:
            with watching(before, after):
                self._steps(self.bench, each)
        except Killed:
            pass

    def side_by_side(self, *pair: Run) -> None:
        """Two runs at once, each with a session of its own."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            for ended in [pool.submit(self._apart, replace(each, retry=False)) for each in pair]:
                ended.result()
        self.taken |= {each.day: each.rows for each in pair}

    def settle(self) -> None:
        """A last live run takes what was left behind."""
        if progress_of(self.bench.spark, self.bench.lake, "orders").behind:
            self.take(Run(LAST_DAY, {}))

    def check(self) -> None:
        """Compare silver, bronze and the open dead letters with what should be there."""
        lake = self.bench.lake
        everything = [(key, value) for rows in self.taken.values() for key, value in rows.items()]
        assert self._rows(lake.silver("orders"), "id", "amount") == self._published()
        in_bronze = sorted((key, written(value)) for key, value in everything)
        assert self._rows(lake.bronze("orders"), "int(id)", "amount") == in_bronze
        letters = self._rows(lake.dlq("orders"), "int(get_json_object(payload, '$.id'))", "status")
        open_ones = [key for key, status in letters if status == "open"]
        assert open_ones == sorted(key for key, value in everything if value is None)

    def _rows(self, path: str, key: str, column: str) -> list[tuple[Any, ...]]:
        """The rows of this sequence, by the keys as it has them."""
        rows = self.bench.spark.read.format("delta").load(path).selectExpr(f"{key} AS id", column)
        mine = rows.where(f"id BETWEEN {self.offset} AND {self.offset + ROOM - 1}").collect()
        return sorted((row[0] - self.offset, row[1]) for row in mine)

    def _published(self) -> list[tuple[int, int]]:
        """Per key the good row of the newest day, unless that deletes it."""
        newest = {
            key: value for _, rows in sorted(self.taken.items()) for key, value in rows.items() if value is not None
        }
        return sorted((key, value) for key, value in newest.items() if isinstance(value, int))

    def _apart(self, each: Run) -> None:
        with session() as own:
            bench = copy.copy(self.bench)
            bench.spark = own
            self._steps(bench, each)

    def _steps(self, bench: Workbench, each: Run) -> None:
        """A run's own batch and, live, all that is pending."""
        body = "".join(
            f"{self.offset + key},{written(value)},{'gone' if value == 'gone' else 'x'}\n"
            for key, value in each.rows.items()
        )
        start = FIRST + timedelta(days=self.offset + each.day)
        file = bench.write(f"{start:%Y-%m-%d}.csv", f"id,amount,note\n{body}")
        interval = Interval(start=start, end=start + timedelta(days=1))
        who = RunInfo(pipeline="shop", run_id=f"run of {start:%Y-%m-%d}", interval=interval, kind=each.kind)
        kept = self.pins.setdefault(each.day, Kept()) if each.retry else Kept()
        self.pins[each.day] = kept
        attempt: Callable[[], Any] = kept.attempt
        loaded = ingest_bronze(bench.spark, bench.lake, "orders", TABLE, who, files=file, pins=attempt())
        for batch in loaded.pending:
            gate = quality_gate(bench.spark, bench.lake, "orders", TABLE, who, batch)
            merge_silver(bench.spark, bench.lake, "orders", TABLE, who, batch, gate, pins=attempt())


def written(value: Value) -> str:
    """How a file has the value."""
    return "bad" if value is None else str(value)
