"""`release` and `discard`: what becomes of a batch that the gate has held."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.cli.run import days_of
from airflow_ingest.cli.tables import check_table
from airflow_ingest.config import IngestError, load_pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Batch, Lake

__all__ = ["decide"]

RUN_ID = "cli__release"
_THEN = {
    "released": "is released: the next run of the schedule merges it, whatever its rules say.",
    "discarded": "is discarded: no run merges it. Its rows stay in bronze; running its interval again loads them anew.",
}


def decide(
    file: Path,
    table: str,
    batch: str | None,
    decision: Literal["released", "discarded"],
    *,
    reason: str,
    remote: str | None,
) -> int:
    """Let the held batch of a table through to silver, or throw it away, for a `reason` that is kept. Returns 0.

    Without a `batch` the held ones are listed and nothing is decided. Raises ConfigError, IngestError for an unknown
    table or no reason, LakehouseError if the batch is not held, and RuntimeProblem for Spark.
    """
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.lakehouse import Lake, decide_held

    pipeline = load_pipeline(file)
    check_table(table, pipeline, lambda found: found.silver is not None, "a silver")
    if batch is not None and not reason.strip():
        raise IngestError(f"{table}: say why, for those who look at it later: --reason TEXT.")
    lake = Lake(pipeline.lake, pipeline.pipeline)
    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    try:
        with sessions.borrow() as spark, notes().status("Looking …"):
            if batch is None:
                lines = _held(spark, lake, table, pipeline.timezone) or [f"no batch of {table} is held"]
            else:
                found = decide_held(spark, lake, table, batch, decision, reason=reason, run_id=RUN_ID)
                lines = [f"{_named(found, pipeline.timezone)} {_THEN[decision]}"]
    finally:
        sessions.close()
    for line in lines:
        results().print(line, markup=False)
    return 0


def _held(spark: "SparkSession", lake: "Lake", table: str, zone: str) -> list[str]:
    from airflow_ingest.lakehouse.batches import waiting_batches

    held = (found for found in waiting_batches(spark, lake, table) if found.state == "held")
    return [f"{_named(found.batch, zone)} is held: {found.reason}" for found in held]


def _named(batch: "Batch", zone: str) -> str:
    span = batch.interval
    return f"batch {batch.id}{f' of {days_of([(span.start, span.end)], zone)[0]}' if span else ''}"
