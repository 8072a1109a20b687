"""What Delta's change feed says was touched between two versions of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.log import is_feed_gone
from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession


def touched_values(
    spark: SparkSession, path: str, columns: Sequence[str], first: int, last: int, *, at_most: int
) -> list[Row] | None:
    """The different values of `columns` in the rows that versions `first` to `last` changed, before and after.

    No more than `at_most` of them are given. None where the changes were not recorded, or are there no more.
    """
    feed = (
        spark.read.format("delta")
        .option("readChangeFeed", True)
        .option("startingVersion", first)
        .option("endingVersion", last)
        .load(path)
        .select(*map(quote, columns))
        .distinct()
        .limit(at_most)
    )
    try:
        return feed.collect()
    except Exception as error:
        if is_feed_gone(error):
            return None
        raise
