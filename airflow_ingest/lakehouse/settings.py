"""Settings of a session for as long as a block runs; among them those for large batches.

Where batches are small, compiling what Spark runs costs more than it saves, and the embedded server does not. It says
in `spark.airflow_ingest.bulk_rows` from how many rows on that pays; a server that says nothing is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.log import Commit
    from airflow_ingest.lakehouse.model import Batch

BULK_ROWS = "spark.airflow_ingest.bulk_rows"
_COMPILED = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
_BYTES_A_ROW = 100
_LAST = 3
"""Commits that tell how many rows the next one may have to handle."""


@contextmanager
def settings_of(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Gives the session `settings`, which it has not, for a `with` block, and takes them away again."""
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key in settings:
            spark.conf.unset(key)


@contextmanager
def other_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """Gives the session other `settings` for a `with` block, and then those that it had."""
    known = dict(spark.conf.getAll)
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key in settings:
            if key in known:
                spark.conf.set(key, known[key])
            else:
                spark.conf.unset(key)


@contextmanager
def compiled(spark: SparkSession, rows: int) -> Iterator[None]:
    """Has Spark compile what it runs inside the block, where that pays for so many `rows`."""
    if not is_bulk(spark, rows):
        yield
        return
    with other_settings(spark, _COMPILED):
        yield


def is_bulk(spark: SparkSession, rows: int) -> bool:
    """Whether so many rows are many; never, where the server does not say from how many on."""
    limit = _bulk_rows(spark)
    return limit is not None and rows >= limit


def rows_expected(commits: Sequence[Commit], batch: Batch | None = None) -> int:
    """About how many rows a load handles, into a table with these newest `commits`: as many as its last ones did.

    Rows that were copied, since they lay in a file with others, count too. Of files of a `batch` the size tells.
    """
    names = ("numOutputRows", "numTargetRowsCopied")
    handled = (commit.metrics.get(name, 0) for commit in commits[:_LAST] for name in names)
    in_files = sum(file.size for file in batch.files) // _BYTES_A_ROW if batch else 0
    return max(in_files, *handled, 0)


def rows_in(spark: SparkSession, paths: Iterable[str]) -> int:
    """About how many rows the Delta tables at `paths` have, by their size; 0 where nobody wants to know."""
    if _bulk_rows(spark) is None:
        return 0
    sizes = (spark.sql(f"DESCRIBE DETAIL {sql_table(path)}").select("sizeInBytes").collect()[0][0] for path in paths)
    return int(sum(sizes)) // _BYTES_A_ROW


@lru_cache(maxsize=8)
def _bulk_rows(spark: SparkSession) -> int | None:
    told = spark.conf.get(BULK_ROWS, "")
    return int(told) if told and told.isdigit() else None
