"""The book of runs: what each run did with each table, one row each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime
from typing_extensions import Self

from airflow_ingest.lakehouse.model import RowCounts, RunInfo, RunKind, Value
from airflow_ingest.lakehouse.ops import append_rows, looking_back, newest, read_book

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.lake import Lake

RunStatus = Literal["loaded", "unchanged", "skipped", "held", "failed", "not run", "stopped"]
BOOK = "runs"
_COUNTS = tuple(RowCounts.model_fields)
COLUMNS = ", ".join(
    [
        "pipeline string",
        "table string",
        "run_id string",
        "kind string",
        "interval_start timestamp",
        "interval_end timestamp",
        "started timestamp",
        "ended timestamp",
        "seconds double",
        "status string",
        "attempts int",
        "error string",
        *(f"rows_{name} bigint" for name in _COUNTS),
    ]
)
_LONGEST = 2000


class TableRecord(Value):
    """What one run did with one table (`orders`, `gold.revenue`).

    - `started`, `ended`: of the run; `seconds`: what the table's own steps took
    - `status`: `stopped` by the circuit breaker, `not run` since what it needs failed
    - `attempts`: the most that one of its steps took; `error`: why it was held, failed or left out
    """

    table: str
    run_id: str
    kind: RunKind = "live"
    interval_start: AwareDatetime | None = None
    interval_end: AwareDatetime | None = None
    started: AwareDatetime
    ended: AwareDatetime
    seconds: float = 0.0
    status: RunStatus
    attempts: int = 1
    error: str = ""
    rows: RowCounts = RowCounts()

    @classmethod
    def of(cls, run: RunInfo, started: datetime, **did: Any) -> Self:
        """What `run`, which began when it `started`, did with a table until now."""
        span = run.interval
        return cls(
            run_id=run.run_id,
            kind=run.kind,
            interval_start=span and span.start,
            interval_end=span and span.end,
            started=started,
            ended=datetime.now(timezone.utc),
            **did,
        )


def counted(
    ingest: Mapping[str, Any] | None, gates: Sequence[Mapping[str, Any]], published: Sequence[Mapping[str, Any]]
) -> RowCounts:
    """What became of the rows of a table in a run, by the results of its steps (`to_dict` of each).

    Rows that were held, or that a failure left behind, are read and no more than that.
    """
    merged = [RowCounts.from_dict(load["rows"]) for load in published]
    taken = {load["batch"]["id"] for load in published if load.get("batch")}
    left = [RowCounts.from_dict(gate["rows"]) for gate in gates if gate["batch"]["id"] not in taken]
    found = [*merged, *left]
    if not found and ingest is not None:
        return RowCounts(read=ingest["rows"]["read"])
    return RowCounts(**{name: sum(getattr(counts, name) for counts in found) for name in _COUNTS})


def record_runs(spark: SparkSession, lake: Lake, run: RunInfo, records: Iterable[TableRecord]) -> None:
    """Writes down what `run` did with its tables, in one commit; of what is written down twice the last counts."""
    rows = []
    for record in records:
        told = record.to_dict()
        counts = told.pop("rows")
        told |= {"pipeline": lake.pipeline, "error": record.error[:_LONGEST]}
        rows.append(told | {f"rows_{name}": counts[name] for name in _COUNTS})
    append_rows(spark, lake.ops(BOOK), COLUMNS, rows, run.run_id)


def run_history(spark: SparkSession, lake: Lake, table: str | None = None, *, runs: int = 20) -> list[TableRecord]:
    """The newest `runs` runs of the pipeline, or of one `table`: a record for each table, the newest run first."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    book = read_book(spark, lake, BOOK, table)
    if book is None:
        return []

    def newest_runs(book: DataFrame) -> list[Any]:
        order = Window.orderBy(F.desc("run_started"), "run_id")
        return (
            newest_records(book)
            .withColumn("run_started", F.min("started").over(Window.partitionBy("run_id")))
            .withColumn("nth", F.dense_rank().over(order))
            .where(F.col("nth") <= runs)
            .orderBy("nth", "table")
            .collect()
        )

    def enough(rows: list[Any], since: datetime) -> bool:
        return bool(rows) and rows[-1]["nth"] == runs and rows[-1]["run_started"].astimezone(timezone.utc) >= since

    return [_record(row.asDict()) for row in looking_back(book, newest_runs, enough)]


def newest_records(book: DataFrame) -> DataFrame:
    """The rows of `book`, the last one of each run and table. A run writes all its tables down at once."""
    return newest(book, "run_id", "table")


def _record(row: dict[str, Any]) -> TableRecord:
    times = ("interval_start", "interval_end", "started", "ended")
    known = {name: row[name].astimezone() for name in times if row[name] is not None}
    rows = {name: row[f"rows_{name}"] or 0 for name in _COUNTS}
    return TableRecord.from_dict({**row, **known, "rows": rows})
