"""The books that the pipelines of a lake keep together, under `ops/`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.commits import Stamp, stamped
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history

T = TypeVar("T")

_PARTITION = ("pipeline",)
_DAYS = (8, 128)
"""How far back a book is read before all of it is, by those that want the newest alone."""


def append_rows(
    spark: SparkSession,
    path: str,
    columns: str,
    rows: Sequence[Mapping[str, Any]],
    run: str,
    *,
    at: datetime | None = None,
    stamp: Stamp | None = None,
) -> None:
    """Appends `rows` to the book at `path` with the time of writing in `at`: now by Spark's clock, unless it is given.

    `columns` is the book's schema as DDL, with `pipeline` (its partition) among them; `run` goes into the commit. There
    is no transaction id, whose check costs as much as the write: a repeated attempt repeats its rows, and who reads a
    book takes the newest row of each thing. With a `stamp` there is one, for rows that only one of several may write.
    """
    if not rows:
        return
    entries = frame(spark, columns, rows).withColumn("at", F.current_timestamp() if at is None else F.lit(at))
    writer = entries.write.format("delta").mode("append").partitionBy(*_PARTITION)
    writer = writer.option("userMetadata", json.dumps({"run": run})) if stamp is None else stamped(writer, stamp)
    writer.option("mergeSchema", True).save(path)


def read_book(spark: SparkSession, lake: Lake, book: str, table: str | None = None) -> DataFrame | None:
    """The rows of the book that are the pipeline's, of one `table` or of all; None if nobody has written it yet."""
    path = lake.ops(book)
    if not history(spark, path, 1):
        return None
    rows = spark.read.format("delta").load(path).where(F.col("pipeline") == F.lit(lake.pipeline))
    return rows if table is None else rows.where(F.col("table") == F.lit(table))


def looking_back(book: DataFrame, ask: Callable[[DataFrame], T], enough: Callable[[T, datetime], bool]) -> T:
    """What `ask` finds in the newest rows of `book`, and in all only if that is not `enough`.

    `enough` is given what was found, and since when the rows were written: Delta leaves older files unread.
    """
    now = datetime.now(timezone.utc)
    for days in _DAYS:
        since = now - timedelta(days=days)
        found = ask(book.where(F.col("at") >= F.lit(since)))
        if enough(found, since):
            return found
    return ask(book)


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
