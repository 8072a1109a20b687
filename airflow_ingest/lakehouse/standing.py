"""Where the tables of a pipeline stand after a run: few statements for all of them, for each run pays them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.batches import waiting_batches
from airflow_ingest.lakehouse.commits import highest_of
from airflow_ingest.lakehouse.dlq import STATUS_OPEN
from airflow_ingest.lakehouse.log import LOOK_BACK, history, in_effect
from airflow_ingest.lakehouse.model import Value
from airflow_ingest.lakehouse.ops import newest, read_book
from airflow_ingest.lakehouse.watermarks import watermark_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.lake import Lake


class Standing(Value):
    """Where a table stands: its open dead letters, how many of its batches are held, and how far it has got.

    `watermark` is the value of its cursor, or else the end of the newest interval that it has.
    """

    open_letters: int = 0
    held: int = 0
    watermark: str | None = None


def standings(spark: SparkSession, lake: Lake, names: Sequence[str]) -> dict[str, Standing]:
    """Where the tables so named stand now."""
    letters = _open_letters(spark, lake, names)
    held = _held(spark, lake, names)
    return {
        name: Standing(
            open_letters=letters.get(name, 0), held=held.get(name, 0), watermark=_watermark(spark, lake.bronze(name))
        )
        for name in names
    }


def _open_letters(spark: SparkSession, lake: Lake, names: Sequence[str]) -> dict[str, int]:
    from pyspark.sql import functions as F

    def open_in(name: str) -> DataFrame:
        rows = spark.read.format("delta").load(lake.dlq(name)).where(F.col("status") == F.lit(STATUS_OPEN))
        return rows.select(F.lit(name).alias("name"))

    found = [open_in(name) for name in names if history(spark, lake.dlq(name), 1)]
    if not found:
        return {}
    counted = reduce(lambda left, right: left.unionByName(right), found).groupBy("name").count()
    return {row["name"]: row["count"] for row in counted.collect()}


def _held(spark: SparkSession, lake: Lake, names: Sequence[str]) -> dict[str, int]:
    """A batch that was once held may have been loaded anew since, so the logs of the few tables with such are asked."""
    from pyspark.sql import functions as F

    book = read_book(spark, lake, "batches")
    if book is None:
        return {}
    rows = newest(book, "table", "batch_id", "generation").where(F.col("state") == F.lit("held"))
    once = {row["table"] for row in rows.select("table").distinct().collect()}
    return {
        name: sum(batch.state == "held" for batch in waiting_batches(spark, lake, name))
        for name in names
        if name in once
    }


def _watermark(spark: SparkSession, bronze: str) -> str | None:
    commits = history(spark, bronze, LOOK_BACK)
    told = watermark_of(commits)
    return told.value if told else highest_of(list(in_effect(commits)))
