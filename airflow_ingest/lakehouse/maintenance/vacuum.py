"""VACUUM: files of older versions that nobody may need any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.log import Commit, history
from airflow_ingest.lakehouse.maintenance.results import Vacuumed
from airflow_ingest.lakehouse.settings import settings_of
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REACH = 1000
"""Commits that are read to learn whether a file can have become old enough."""
LISTING = {"spark.sql.sources.parallelPartitionDiscovery.parallelism": "32"}
"""Delta lists a table's folders in so many tasks; Spark's ten thousand take a small machine a minute."""
_HONOUR_RETENTION = {"spark.databricks.delta.vacuum.retentionWindowIgnore.enabled": "false"}
"""Else Delta 4.4 takes no notice of what VACUUM is told to keep, and goes by the table's property alone."""

_END = "VACUUM END"
_REMOVE_NOTHING = ("CREATE TABLE", "SET TBLPROPERTIES", "VACUUM START", _END)


def vacuum(
    spark: SparkSession,
    path: str,
    retain: timedelta,
    commits: Sequence[Commit],
    told: Mapping[str, str],
    *,
    dry_run: bool = False,
) -> Vacuumed:
    """Removes the files that no version of the last `retain` needs; `told` are the settings that describe its commits.

    Where the log shows that there can be none it does not look: listing a table's files takes time. A dry run counts
    them, a thousand at most. Raises what Delta raises; its own check of the retention stays on.
    """
    hours = retain / timedelta(hours=1)
    if not _may_find(commits, retain):
        return Vacuumed(reason="no file of the past is old enough to be removed", retain_hours=hours)
    with settings_of(spark, {**told, **LISTING, **_HONOUR_RETENTION}):
        statement = f"VACUUM {sql_table(path)} RETAIN {hours:f} HOURS"
        rows = spark.sql(f"{statement} DRY RUN" if dry_run else statement).collect()
    if dry_run:
        return Vacuumed(files=len(rows), retain_hours=hours)
    end = next((commit for commit in history(spark, path, 10) if commit.operation == _END), None)
    if end is None:
        return Vacuumed(files=None, retain_hours=hours)
    return Vacuumed(files=end.metrics.get("numDeletedFiles"), retain_hours=hours, version=end.version)


def _may_find(commits: Sequence[Commit], retain: timedelta) -> bool:
    """Whether a commit, newest first in `commits`, has become older than `retain` since the last VACUUM."""
    cutoff = datetime.now(timezone.utc) - retain
    last = next((commit.at for commit in commits if commit.operation == _END), None)
    looked_back_to = last - retain if last else None
    removing = [commit for commit in commits if commit.operation not in _REMOVE_NOTHING]
    for commit in removing:
        if commit.at is None or (commit.at <= cutoff and (looked_back_to is None or commit.at > looked_back_to)):
            return True
    oldest = commits[-1]
    return oldest.version > 0 and oldest.at is not None and oldest.at > cutoff
