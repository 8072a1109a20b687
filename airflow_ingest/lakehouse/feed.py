"""What Delta's change feed says was touched between two versions of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.log import is_feed_gone
from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession


def touched_values(
    spark: SparkSession, path: str, columns: Sequence[str], first: int, last: int, *, at_most: int
) -> list[Row] | None:
    """The different values of `columns` in the rows that versions `first` to `last` changed, before and after.

    No more than `at_most` of them are given. None where the changes were not recorded, or are there no more.
    """
    return _collected(_feed(spark, path, columns, first, last).distinct().limit(at_most))


def touched_bounds(
    spark: SparkSession, path: str, columns: Sequence[str], first: int, last: int
) -> list[tuple[Any, Any, bool]] | None:
    """For each of `columns` the least and the greatest of those values, and whether NULL is one of them."""
    names = [quote(name) for name in columns]
    measures = [f"struct(min({name}), max({name}), count(*) > count({name}))" for name in names]
    rows = _collected(_feed(spark, path, columns, first, last).selectExpr(*measures))
    return None if rows is None else [tuple(found) for found in rows[0]]


def _feed(spark: SparkSession, path: str, columns: Sequence[str], first: int, last: int) -> DataFrame:
    return (
        spark.read.format("delta")
        .option("readChangeFeed", True)
        .option("startingVersion", first)
        .option("endingVersion", last)
        .load(path)
        .select(*map(quote, columns))
    )


def _collected(rows: DataFrame) -> list[Row] | None:
    try:
        return rows.collect()
    except Exception as error:
        if is_feed_gone(error):
            return None
        raise
