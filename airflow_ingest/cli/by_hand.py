"""What commands share that change tables by hand: a run of their own, and the gold that follows."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_ingest.config import Pipeline
from airflow_ingest.graph import gold_reading

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Lake, LoadResult, RunInfo

__all__ = ["gold_lines", "refreshed", "run_by_hand"]


def run_by_hand(pipeline: Pipeline, what: str, resumed: str | None = None) -> "RunInfo":
    """A run with an id of its own, which tells what it did and when; or the one that is `resumed`."""
    from airflow_ingest.lakehouse import RunInfo

    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return RunInfo(pipeline=pipeline.pipeline, run_id=resumed or f"cli__{what}__{now}", kind="manual")


def refreshed(
    spark: "SparkSession", lake: "Lake", pipeline: Pipeline, table: str, run: "RunInfo"
) -> "dict[str, LoadResult | str]":
    """What became of each gold table that reads the silver `table`: its load, or what went wrong."""
    from airflow_ingest.cli.steps import explained
    from airflow_ingest.lakehouse import refresh_gold

    found: dict[str, LoadResult | str] = {}
    for name in gold_reading(pipeline, f"silver.{table}"):
        try:
            found[name] = refresh_gold(spark, lake, name, pipeline.gold[name], run)
        except Exception as error:
            found[name] = explained(error)
    return found


def gold_lines(gold: "Mapping[str, LoadResult | str]") -> Iterator[str]:
    """What to tell of it, one line each."""
    for name, result in gold.items():
        yield f"gold.{name}: {result if isinstance(result, str) else result.status}"
