"""`release` and `discard`: what becomes of a batch that the gate has held."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from airflow_ingest.cli.by_hand import gold_lines, refreshed, run_by_hand
from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.lake import working
from airflow_ingest.cli.run import days_of, make_importable
from airflow_ingest.cli.tables import check_table
from airflow_ingest.config import IngestError, Pipeline, load_pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Batch, Lake, RunInfo

__all__ = ["decide"]


def decide(
    file: Path,
    table: str,
    batch: str | None,
    decision: Literal["released", "discarded"],
    *,
    reason: str,
    remote: str | None,
) -> int:
    """Let the held batch of a table through to silver and on to gold, or throw it away, for a `reason` that is kept.

    Without a `batch` the held ones are listed and nothing is decided. Returns 1 if a gold table failed, else 0. Raises
    ConfigError, IngestError for an unknown table or no reason, LakehouseError if the batch is not held, and
    RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import decide_held

    pipeline = load_pipeline(file)
    check_table(table, pipeline, lambda found: found.silver is not None, "a silver")
    if batch is not None and not reason.strip():
        raise IngestError(f"{table}: say why, for those who look at it later: --reason TEXT.")
    make_importable(file)
    run = run_by_hand(pipeline, "release")
    with working(pipeline, remote) as (spark, lake), notes().status("Looking …"):
        if batch is None:
            lines, failed = _held(spark, lake, table, pipeline.timezone) or [f"no batch of {table} is held"], False
        elif decision == "discarded":
            found = decide_held(spark, lake, table, batch, decision, reason=reason, run_id=run.run_id)
            lines, failed = [f"{_named(found, pipeline.timezone)} {_DISCARDED}"], False
        else:
            lines, failed = _release(spark, lake, pipeline, table, batch, reason, run)
    for line in lines:
        results().print(line, markup=False)
    return 1 if failed else 0


_DISCARDED = "is discarded: no run merges it. Its rows stay in bronze; running its interval again loads them anew."


def _release(
    spark: "SparkSession", lake: "Lake", pipeline: Pipeline, table: str, batch: str, reason: str, run: "RunInfo"
) -> tuple[list[str], bool]:
    """What to tell of a release, and whether a gold table failed after it."""
    from airflow_ingest.lakehouse import release_batch

    merged = release_batch(spark, lake, table, pipeline.tables[table], run, batch, reason=reason)
    assert merged.batch is not None
    counts = ", ".join(f"{count:,} {name}" for name, count in merged.rows.to_dict().items() if count)
    gold = refreshed(spark, lake, pipeline, table, run)
    first = f"{_named(merged.batch, pipeline.timezone)} is released and in silver: {counts or 'no rows'}"
    return [first, *gold_lines(gold)], any(isinstance(each, str) for each in gold.values())


def _held(spark: "SparkSession", lake: "Lake", table: str, zone: str) -> list[str]:
    from airflow_ingest.lakehouse.batches import waiting_batches

    held = (found for found in waiting_batches(spark, lake, table) if found.state == "held")
    return [f"{_named(found.batch, zone)} is held: {found.reason}" for found in held]


def _named(batch: "Batch", zone: str) -> str:
    span = batch.interval
    return f"batch {batch.id}{f' of {days_of([(span.start, span.end)], zone)[0]}' if span else ''}"
