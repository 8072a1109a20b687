"""The books that the pipelines of a lake keep together, under `ops/`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history

_PARTITION = ("pipeline",)


def append_rows(
    spark: SparkSession,
    path: str,
    columns: str,
    rows: Sequence[Mapping[str, Any]],
    run: str,
) -> None:
    """Appends `rows` to the book at `path` with the time of writing in `at`.

    `columns` is the book's schema as DDL, with `pipeline` (its partition) among them; `run` goes into the commit. There
    is no transaction id, whose check costs as much as the write: a repeated attempt repeats its rows, and who reads a
    book takes the newest row of each thing.
    """
    if not rows:
        return
    entries = frame(spark, columns, rows).withColumn("at", F.current_timestamp())
    writer = entries.write.format("delta").mode("append").partitionBy(*_PARTITION)
    writer.option("userMetadata", json.dumps({"run": run})).option("mergeSchema", True).save(path)


def read_book(spark: SparkSession, lake: Lake, book: str, table: str | None = None) -> DataFrame | None:
    """The rows of the book that are the pipeline's, of one `table` or of all; None if nobody has written it yet."""
    path = lake.ops(book)
    if not history(spark, path, 1):
        return None
    rows = spark.read.format("delta").load(path).where(F.col("pipeline") == F.lit(lake.pipeline))
    return rows if table is None else rows.where(F.col("table") == F.lit(table))


def newest(book: DataFrame, *by: str) -> DataFrame:
    """The row of `book` that was written last for each value of the columns `by`."""
    last = F.max_by(F.struct(*book.columns), "at").alias("last")
    return book.groupBy(*by).agg(last).select("last.*")


def frame(spark: SparkSession, columns: str, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """`rows` as a DataFrame with the schema `columns` (DDL)."""
    written_down = F.from_json(F.lit(json.dumps(list(rows), default=str)), f"array<struct<{_as_fields(columns)}>>")
    return spark.range(1).select(F.inline(written_down))


def _as_fields(columns: str) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in (field.strip().split(" ", 1) for field in columns.split(",")))
