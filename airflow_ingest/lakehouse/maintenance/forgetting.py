"""Tombstones are kept for as long as the configuration says: an older change that comes after that is taken for a new
one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.settings import settings_of
from airflow_ingest.lakehouse.sql import literal
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_BURIED = "_ingested_at"


def forget(
    spark: SparkSession, path: str, after: timedelta, told: Mapping[str, str], *, dry_run: bool = False
) -> tuple[str, int]:
    """Deletes the rows of the table at `path` that are older than `after`; how, and how many there were.

    `told` are the settings that describe its commit. Nothing is committed where no row is so old.
    """
    old = f"{_BURIED} < {literal(datetime.now(timezone.utc) - after)}"
    statement = f"DELETE FROM {sql_table(path)} WHERE {old}"
    found = spark.read.format("delta").load(path).where(old).count()
    if found and not dry_run:
        with settings_of(spark, told):
            spark.sql(statement).collect()
    return statement, found
