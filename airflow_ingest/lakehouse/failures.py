"""The book of loads that were given up: what was to be loaded, what went wrong, how often it was tried."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import RunInfo, Value
from airflow_ingest.lakehouse.ops import append_rows, read_book
from airflow_ingest.lakehouse.spark_errors import brief

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BOOK = "failed_loads"
_COLUMNS = (
    "pipeline string, table string, step string, run_id string, interval_start timestamp, interval_end timestamp, "
    "source string, batches array<string>, attempts int, kind string, error string"
)


class FailedLoad(Value):
    """A step that was given up. `batches` are their ids, as far as they were known; `source` the files or table."""

    table: str
    step: str
    run_id: str
    source: str = ""
    batches: tuple[str, ...] = ()
    attempts: int
    kind: str
    error: str
    at: datetime | None = None


def record_failure(
    spark: SparkSession,
    lake: Lake,
    run: RunInfo,
    table: str,
    step: str,
    error: BaseException,
    *,
    attempts: int,
    source: str = "",
    batches: tuple[str, ...] = (),
) -> None:
    """Writes down that `step` on `table` was given up after `attempts` tries."""
    start, end = (run.interval.start, run.interval.end) if run.interval else (None, None)
    row = {
        "pipeline": lake.pipeline,
        "table": table,
        "step": step,
        "run_id": run.run_id,
        "interval_start": start and start.isoformat(),
        "interval_end": end and end.isoformat(),
        "source": source,
        "batches": list(batches),
        "attempts": attempts,
        "kind": type(error).__name__,
        "error": brief(error)[:2000],
    }
    append_rows(spark, lake.ops(_BOOK), _COLUMNS, [row], run.run_id)


def failed_loads(spark: SparkSession, lake: Lake, table: str | None = None, *, limit: int = 20) -> list[FailedLoad]:
    """The newest `limit` loads of the pipeline that were given up, newest first."""
    from pyspark.sql import functions as F

    book = read_book(spark, lake, _BOOK, table)
    if book is None:
        return []
    rows = book.orderBy(F.desc("at")).limit(limit).collect()
    return [FailedLoad.from_dict({**row.asDict(), "at": row["at"].astimezone(timezone.utc)}) for row in rows]
