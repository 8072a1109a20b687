"""What commands share that change tables by hand: a run of their own, a session, and the gold that follows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.config import Pipeline
from airflow_ingest.graph import gold_reading

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Lake, LoadResult, RunInfo

__all__ = ["gold_lines", "refreshed", "run_by_hand", "working"]


def run_by_hand(pipeline: Pipeline, what: str, resumed: str | None = None) -> "RunInfo":
    """A run with an id of its own, which tells what it did and when; or the one that is `resumed`."""
    from airflow_ingest.lakehouse import RunInfo

    now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    return RunInfo(pipeline=pipeline.pipeline, run_id=resumed or f"cli__{what}__{now}", kind="manual")


@contextmanager
def working(pipeline: Pipeline, remote: str | None) -> "Iterator[tuple[SparkSession, Lake]]":
    """A session and the lake for the length of a `with` block. Raises RuntimeProblem if Spark cannot be had."""
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.lakehouse import Lake

    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    try:
        with sessions.borrow() as spark:
            yield spark, Lake(pipeline.lake, pipeline.pipeline)
    except KeyboardInterrupt:
        sessions.interrupt()
        raise
    finally:
        sessions.close()


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
