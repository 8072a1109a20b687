"""Which keys a batch had when silver took it: bronze has them still, at the version before it was loaded again."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.bronze import BATCH_ID, read_bronze
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.dlq import with_fixes
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import LOOK_BACK, Commit, commits_after, history, in_effect, is_feed_gone
from airflow_ingest.lakehouse.model import Batch
from airflow_ingest.lakehouse.progress import PROGRESS, Progress
from airflow_ingest.lakehouse.silver.judged import judge_rows, silver_of
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.sql import quote

_LOOK_BACK = (LOOK_BACK, 1000)


@dataclass(frozen=True)
class Earlier:
    """The `keys` of an earlier load of a batch; None if there was none, or if that is `unknown`."""

    keys: DataFrame | None = None
    unknown: bool = False


NEVER = Earlier()
"""There was no earlier load of the batch."""


def earlier_keys(spark: SparkSession, lake: Lake, table: Table, batch: Batch, lookups: Lookups) -> Earlier:
    """The keys that `batch` had when silver took it last, and maybe more: today's rules need not be those of then.

    `unknown` where no log or file tells any more.
    """
    known, taken = _taken_at(spark, lake, batch)
    version = None if taken is None else _last_held(spark, lake.bronze(batch.table), batch, taken)
    if version is None and (taken is not None or not known):
        return Earlier(unknown=True)
    names = [quote(key) for key in silver_of(table).keys]
    silver = spark.read.format("delta").load(lake.silver(batch.table))
    keys = silver.where(F.col(BATCH_ID) == F.lit(batch.id)).select(*names)
    if version is not None:
        rows = read_bronze(spark, lake, batch.table, version).where(F.col(BATCH_ID) == F.lit(batch.id))
        judged = judge_rows(with_fixes(spark, lake, batch.table, rows), table, lookups).rows
        keys = keys.unionByName(judged.select(*names))
    try:
        return Earlier(checkpointed(keys.dropna().distinct()))
    except Exception as error:
        if is_feed_gone(error):
            return Earlier(unknown=True)
        raise


def _last_held(spark: SparkSession, path: str, batch: Batch, taken: int) -> int | None:
    """The newest version of bronze that has `batch` as it was at version `taken`: Delta reads old ones for a week only.

    None where the log does not tell.
    """
    since = commits_after(spark, path, taken)
    if since and since[-1].version > taken + 1:
        return None
    rewrites = [commit.version for commit in since if commit.restored is not None or _is_of(commit, batch)]
    return min(rewrites) - 1 if rewrites else (since[0].version if since else taken)


def _is_of(commit: Commit, batch: Batch) -> bool:
    told = commit.metadata.get("batch")
    return bool(told) and Batch.from_dict(told).id == batch.id


def _taken_at(spark: SparkSession, lake: Lake, batch: Batch) -> tuple[bool, int | None]:
    """Whether silver's log tells, and if so the version of bronze at which silver took `batch`."""
    path = lake.silver(batch.table)
    for limit in _LOOK_BACK:
        commits = history(spark, path, limit)
        for commit in in_effect(commits):
            if _is_of(commit, batch):
                return True, Progress.from_dict(commit.metadata.get(PROGRESS) or {}).bronze
        if commits and commits[-1].version == 0:
            return True, None
    return False, None
