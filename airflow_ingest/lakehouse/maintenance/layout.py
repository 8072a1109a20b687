"""OPTIMIZE: fewer and larger files, sorted or clustered where the configuration says so.

Rewriting costs what is rewritten. Small tables and files that are large enough are left alone; and since a sorted table
would be sorted again each time, its last OPTIMIZE says in its commit how it left the files, and nothing is done until
rows have changed: https://docs.delta.io/optimizations-oss/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.feed import touched_values
from airflow_ingest.lakehouse.log import Commit, history, in_effect
from airflow_ingest.lakehouse.maintenance.results import LayoutDone, LayoutPlan
from airflow_ingest.lakehouse.maintenance.targets import Target
from airflow_ingest.lakehouse.settings import settings_of
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession

LAYOUT = "layout"
"""What an OPTIMIZE says in its commit of how it left the files."""

_MIB = 1 << 20
SMALL_FILES, SMALL_BYTES = 16, 128 * _MIB
"""A table below both is read as fast whatever its files are."""
LEAST_FILE, LARGEST_FILE = 512 * _MIB, 1024 * _MIB
_WANTED_FILES = 1024
_MAX_SIZE = "spark.databricks.delta.optimize.maxFileSize"
_MIN_SIZE = "spark.databricks.delta.optimize.minFileSize"
_TOO_MANY = 1000
_MOST_CLUSTERED = 4


def file_size(total: int) -> int:
    """How large the files of a table of `total` bytes should be: 512 MB, growing to 1 GB from 512 GB on."""
    return min(max(total // _WANTED_FILES, LEAST_FILE), LARGEST_FILE)


def plan_layout(spark: SparkSession, path: str, target: Target, commits: Sequence[Commit]) -> LayoutPlan:
    """What OPTIMIZE is to do with the table at `path`, whose newest commits are `commits`."""
    detail = spark.sql(f"DESCRIBE DETAIL {sql_table(path)}").collect()[0]
    files, size = int(detail["numFiles"]), int(detail["sizeInBytes"])
    target, clustering = _as_delta_can(target, detail), _names(detail["clusteringColumns"])
    layout = _layout(target.zorder_by, target.cluster_by or clustering)
    plan = LayoutPlan(layout=layout, files=files, bytes=size, file_bytes=file_size(size))
    last = _last_with(layout, commits)
    if reason := _reason_to_leave(plan, last, commits):
        return plan.model_copy(update={"reason": reason})
    alter = f"ALTER TABLE {sql_table(path)} CLUSTER BY ({_list(target.cluster_by)})"
    forgotten = bool(target.cluster_by) and clustering != target.cluster_by  # any overwrite by path forgets it
    where = _changed_partitions(spark, path, detail, last, commits[0]) if target.zorder_by and last else ""
    sorted_by = f" ZORDER BY ({_list(target.zorder_by)})" if target.zorder_by else ""
    optimize = f"OPTIMIZE {sql_table(path)}{where}{sorted_by}"
    return plan.model_copy(update={"statements": (alter, optimize) if forgotten else (optimize,)})


def apply_layout(spark: SparkSession, path: str, plan: LayoutPlan, told: Mapping[str, str]) -> LayoutDone:
    """Executes a plan's statements; `told` are the settings that describe their commits.

    What the session says of the sizes of files goes before the plan's. Raises what Delta raises where a load was
    quicker.
    """
    least = str(plan.file_bytes // 2)
    sizes = {_MAX_SIZE: str(plan.file_bytes), _MIN_SIZE: least}
    ours = {key: value for key, value in sizes.items() if spark.conf.get(key, None) is None}
    with settings_of(spark, {**told, **ours}):
        for statement in plan.statements:
            rows = spark.sql(statement).collect()
    metrics = rows[0]["metrics"]
    added, removed = int(metrics["numFilesAdded"]), int(metrics["numFilesRemoved"])
    files = plan.files - removed + added
    size = plan.bytes - int(metrics["filesRemoved"]["totalSize"]) + int(metrics["filesAdded"]["totalSize"])
    if not removed:
        return LayoutDone(files=files, bytes=size)
    version = next((c.version for c in history(spark, path, 10) if c.operation == "OPTIMIZE"), None)
    return LayoutDone(files=files, bytes=size, version=version)


def _layout(zorder_by: Sequence[str], cluster_by: Sequence[str]) -> str:
    if zorder_by:
        return f"sorted by {', '.join(zorder_by)}"
    return f"clustered by {', '.join(cluster_by)}" if cluster_by else "larger files"


def _reason_to_leave(plan: LayoutPlan, last: Commit | None, commits: Sequence[Commit]) -> str:
    count = "1 file" if plan.files == 1 else f"{plan.files:,} files"
    if plan.files < 2 or (plan.files < SMALL_FILES and plan.bytes < SMALL_BYTES):
        return f"small: {count}"
    if last and not any(commit.changes_rows for commit in commits if commit.version > last.version):
        return "no row has changed since its last OPTIMIZE"
    if plan.layout == _layout((), ()) and plan.bytes // plan.files >= plan.file_bytes // 2:
        return f"its {count} are large enough"
    return ""


def _last_with(layout: str, commits: Sequence[Commit]) -> Commit | None:
    """The newest OPTIMIZE that is in effect, if it left the files as `layout` says."""
    optimised = (commit for commit in in_effect(commits) if commit.metadata.get(LAYOUT))
    newest = next(optimised, None)
    return newest if newest and newest.metadata[LAYOUT] == layout else None


def _as_delta_can(target: Target, detail: Row) -> Target:
    """`target`, its z-order as clustering where the table was clustered once: Delta then refuses ZORDER BY for ever."""
    if not target.zorder_by or "clustering" not in (detail["tableFeatures"] or ()):
        return target
    return Target(table=target.table, cluster_by=target.zorder_by[:_MOST_CLUSTERED])


def _list(columns: Sequence[str]) -> str:
    return ", ".join(map(quote, columns))


def _names(columns: Sequence[str]) -> tuple[str, ...]:
    """Clustering columns as DESCRIBE DETAIL gives them: quoted where they need to be."""
    return tuple(name[1:-1].replace("``", "`") if name.startswith("`") else name for name in columns)


def _changed_partitions(spark: SparkSession, path: str, detail: Row, last: Commit, newest: Commit) -> str:
    """A WHERE for the partitions whose rows have changed since `last`; empty where that cannot be told, or for many."""
    columns = list(detail["partitionColumns"])
    if not columns:
        return ""
    rows = touched_values(spark, path, columns, last.version + 1, newest.version, at_most=_TOO_MANY + 1)
    if not rows or len(rows) > _TOO_MANY or not all(_is_plain(value) for row in rows for value in row):
        return ""
    return " WHERE " + " OR ".join(_partition(columns, row) for row in rows)


def _is_plain(value: Any) -> bool:
    return value is None or (isinstance(value, (str, int, date)) and not isinstance(value, datetime))


def _partition(columns: Sequence[str], row: Row) -> str:
    tests = (
        f"{quote(name)} IS NULL" if value is None else f"{quote(name)} = {literal(value)}"
        for name, value in zip(columns, row, strict=True)
    )
    return f"({' AND '.join(tests)})"
