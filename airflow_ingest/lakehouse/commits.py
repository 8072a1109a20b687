"""The commit protocol: a load's data, identity and counts land in one Delta commit, and are read back from it.

`userMetadata` carries who wrote what; the transaction id (application: table, batch and layer; version: 1 for a batch's
first load, then the generation) makes Delta itself drop a second write of the same plan. The log gives both back
together with Delta's own operation metrics: https://docs.delta.io/delta-utility/#operation-metrics-keys
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.errors import ConflictError
from airflow_ingest.lakehouse.log import Commit, history
from airflow_ingest.lakehouse.settings import settings_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

    from airflow_ingest.lakehouse.model import Batch

_USER_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_TXN_APP_ID = "spark.databricks.delta.write.txnAppId"
_TXN_VERSION = "spark.databricks.delta.write.txnVersion"
_NARROWS_NOTHING = {"spark.sql.storeAssignmentPolicy": "STRICT"}
"""A MERGE casts what it writes to the table's types, 1.5 to 1 too; so only where nothing can get lost by it."""


@dataclass(frozen=True)
class Stamp:
    """What a write puts into its commit beside the data.

    (`application`, `version`) is the write's transaction id: Delta takes one version of an application once, and
    only in rising order. What it does not take it drops in silence; `written` then gives the commit that came first.
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
        known = {**self.metadata, "application": self.application, "transaction": self.version}
        return json.dumps(known, sort_keys=True, default=str)


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


@dataclass(frozen=True)
class Place:
    """Where a batch's rows belong in a table that keeps batches apart (bronze, DLQ).

    - `first`: the table has never had rows of this batch, so they are appended; else they replace those there
    - `highest`: the end of the newest interval that the table has had; None where the log does not tell
    - `older`: the table has had a newer interval than this batch's
    """

    first: bool
    highest: str | None
    older: bool = False

    @classmethod
    def of(cls, batch: Batch, commits: Sequence[Commit]) -> Place:
        """The place of `batch` in a table whose newest commits are `commits`.

        Intervals mostly come in order, and then the last commit tells that this one is new. In doubt it is not.
        """
        highest = highest_of(commits)
        untouched = bool(commits) and commits[-1].version == 0 and all(c.operation in _NO_DATA for c in commits)
        if batch.interval is None or not (untouched or highest):
            return cls(False, highest)
        end = batch.interval.end.astimezone(timezone.utc).isoformat()
        return cls(highest is None or end > highest, max(end, highest or end), highest is not None and end < highest)

    def stamp(self, application: str, batch: Batch, **metadata: Any) -> Stamp:
        """The stamp for the write of `batch`: of two that are both the first, Delta takes one."""
        version = FIRST if self.first else batch.generation
        return Stamp(application, version, {**metadata, "highest": self.highest, "batch": batch.to_dict()})

    def writer(self, rows: DataFrame, predicate: str) -> DataFrameWriter:
        """A writer that puts `rows` in their place; `predicate` holds for the rows of the batch alone."""
        writer = rows.write.format("delta")
        return writer.mode("append") if self.first else writer.mode("overwrite").option("replaceWhere", predicate)


FIRST = 1
_NO_DATA = ("CREATE TABLE", "SET TBLPROPERTIES", "CHANGE COLUMN", "CHANGE COLUMNS")


def highest_of(commits: Sequence[Commit]) -> str | None:
    """`Place.highest`, as `commits` tell it: of two loads side by side, the later commit may know the lower one."""
    return max(filter(None, (commit.metadata.get("highest") for commit in commits)), default=None)


def described(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    """The setting that puts `metadata` on the commits of statements that are no loads and have no transaction id."""
    return {_USER_METADATA: json.dumps(metadata, sort_keys=True, default=str)}


@contextmanager
def _stamping(spark: SparkSession, stamp: Stamp, settings: Mapping[str, str]) -> Iterator[None]:
    """Puts `stamp` on the one MERGE inside the block, which takes it from nowhere but the session's settings.

    `settings` are further ones for that MERGE alone.
    """
    settings = {
        **_NARROWS_NOTHING,
        **settings,
        _USER_METADATA: stamp.user_metadata,
        _TXN_APP_ID: stamp.application,
        _TXN_VERSION: str(stamp.version),
    }
    with settings_of(spark, settings):
        yield


def merge_from(
    spark: SparkSession,
    source: DataFrame,
    view: str,
    statement: str,
    stamp: Stamp,
    settings: Mapping[str, str] | None = None,
) -> None:
    """Runs a MERGE whose `statement` calls its `source` `view`, in one commit that carries `stamp`."""
    source.createOrReplaceTempView(view)
    try:
        with _stamping(spark, stamp, settings or {}):
            spark.sql(statement).collect()
    finally:
        spark.catalog.dropTempView(view)


def written(spark: SparkSession, path: str, stamp: Stamp) -> Commit:
    """The commit that carries `stamp`: just made, or made by another attempt at the same plan.

    Raises ConflictError if there is none: Delta drops a write whose transaction is below the last one.
    """
    for limit in (3, 200):
        for commit in history(spark, path, limit):
            if commit.transaction == (stamp.application, stamp.version):
                return commit
    raise ConflictError(
        f"{path}: the write of {stamp.application!r} left no commit among the last 200: a newer plan of the same batch "
        "was committed first, or another writer restored or replaced the table meanwhile. Run the task again."
    )
