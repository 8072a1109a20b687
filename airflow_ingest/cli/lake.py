"""A pipeline's lake, for a command that works on it in one session."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.config import Pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Lake

__all__ = ["working"]


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
