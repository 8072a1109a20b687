"""The commit protocol: a load's data, identity and counts land in one Delta commit, and are read back from it.

`userMetadata` carries who wrote what; the transaction id (application: table, batch and layer; version: the batch's
generation) makes Delta itself drop a second write of the same plan. Delta's DESCRIBE HISTORY gives both back together
with its own operation metrics: https://docs.delta.io/delta-utility/#operation-metrics-keys
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.errors import LakehouseError
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrameWriter, SparkSession

_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_TXN_APP_ID = "spark.databricks.delta.write.txnAppId"
_TXN_VERSION = "spark.databricks.delta.write.txnVersion"


@dataclass(frozen=True)
class Stamp:
    """What a write puts into its commit beside the data.

    (`application`, `version`) is the write's transaction id: Delta takes one version of an application once, and
    only in rising order.
    """

    application: str
    version: int
    metadata: Mapping[str, Any]

    @classmethod
    def now(cls, application: str, **metadata: Any) -> Stamp:
        """A stamp above every earlier one of `application`."""
        return cls(application, generation(), metadata)

    @property
    def user_metadata(self) -> str:
        known = {**self.metadata, "application": self.application, "generation": self.version}
        return json.dumps(known, sort_keys=True, default=str)


@dataclass(frozen=True)
class Commit:
    """One line of a table's history, as far as this package wrote it."""

    version: int
    operation: str
    metadata: Mapping[str, Any]
    metrics: Mapping[str, int]


def generation() -> int:
    """A number above every one given before: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def stamped(writer: DataFrameWriter, stamp: Stamp) -> DataFrameWriter:
    """`writer` with `stamp` on its commit."""
    return (
        writer.option("userMetadata", stamp.user_metadata)
        .option("txnAppId", stamp.application)
        .option("txnVersion", stamp.version)
    )


@contextmanager
def stamping(spark: SparkSession, stamp: Stamp, settings: Mapping[str, str]) -> Iterator[None]:
    """Puts `stamp` on the one MERGE inside the block, which takes it from nowhere but the session's settings.

    `settings` are further ones for that MERGE alone.
    """
    settings = {
        **settings,
        _USER_METADATA: stamp.user_metadata,
        _TXN_APP_ID: stamp.application,
        _TXN_VERSION: str(stamp.version),
    }
    try:
        for key, value in settings.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key in settings:
            spark.conf.unset(key)


def history(spark: SparkSession, path: str, limit: int) -> list[Commit]:
    """The last `limit` commits of the table at `path`, newest first; none if there is no table."""
    try:
        rows = (
            spark.sql(f"DESCRIBE HISTORY {sql_table(path)} LIMIT {limit:d}")
            .select("version", "operation", "userMetadata", "operationMetrics")
            .collect()
        )
    except Exception as error:
        if is_missing_table(error):
            return []
        raise
    return [Commit(row[0], row[1], _metadata(row[2]), _metrics(row[3])) for row in rows]


def written(spark: SparkSession, path: str, stamp: Stamp) -> Commit:
    """The commit that carries `stamp`: just made, or made by an earlier attempt at the same plan."""
    for limit in (3, 200):
        for commit in history(spark, path, limit):
            if commit.metadata.get("application") == stamp.application and commit.metadata.get("generation") == (
                stamp.version
            ):
                return commit
    raise LakehouseError(
        f"{path}: the write of {stamp.application!r} left no commit among the last 200. "
        "Another writer may have restored or replaced the table meanwhile; run the task again."
    )


def is_missing_table(error: Exception) -> bool:
    """Whether `error` says that there is no Delta table at a path."""
    text = str(error)
    return any(name in text for name in _MISSING)


_MISSING = (
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_TABLE_ONLY_OPERATION",
    "DELTA_PATH_DOES_NOT_EXIST",
    "PATH_NOT_FOUND",
)


def _metadata(text: str | None) -> Mapping[str, Any]:
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _metrics(raw: Mapping[str, str] | None) -> Mapping[str, int]:
    return {key: int(value) for key, value in (raw or {}).items() if value.lstrip("-").isdigit()}
