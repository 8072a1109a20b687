"""Maintaining one table: its layout first, then the files of the past."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.commits import described
from airflow_ingest.lakehouse.conflicts import is_conflict, winner
from airflow_ingest.lakehouse.errors import LakehouseError
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.maintenance.forgetting import forget
from airflow_ingest.lakehouse.maintenance.layout import LAYOUT, apply_layout, plan_layout
from airflow_ingest.lakehouse.maintenance.results import LayoutPlan, Maintained
from airflow_ingest.lakehouse.maintenance.retention import PROPERTY, check_retention, retention
from airflow_ingest.lakehouse.maintenance.targets import Target
from airflow_ingest.lakehouse.maintenance.vacuum import REACH, vacuum
from airflow_ingest.lakehouse.spark_errors import brief, error_class
from airflow_ingest.lakehouse.tables import own_properties, properties

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake


def maintain_table(
    spark: SparkSession,
    lake: Lake,
    target: Target,
    run_id: str,
    *,
    retain: timedelta | None = None,
    dry_run: bool = False,
) -> Maintained | None:
    """Looks after one table of a lake; None if it is not there yet. No row changes, but for what it is to forget.

    A load that commits meanwhile goes first: the table is left for `next time`, and nothing fails. `retain` is how
    long files of older versions are kept; left out, as long as the table's property says, and seven days at least.
    Raises LakehouseError for less than that, and where the table cannot be laid out as configured; TableOwnedByOther
    for a table of another pipeline.
    """
    started = time.monotonic()
    check_retention(retain)
    path = target.path(lake)
    found = properties(spark, path) if target.is_shared else own_properties(spark, lake, path)
    commits = history(spark, path, REACH)
    if found is None or not commits:
        return None
    keep = retention(target.table, retain, found.get(PROPERTY))
    plan = plan_layout(spark, path, target, commits)
    done = Maintained(
        table=target.table,
        layout=plan.layout,
        reason=plan.reason,
        files_before=plan.files,
        files_after=plan.files,
        bytes_before=plan.bytes,
        bytes_after=plan.bytes,
        version=commits[0].version,
        dry_run=dry_run,
        statements=plan.statements if dry_run else (),
    )
    told = {"pipeline": lake.pipeline, "layer": target.layer, "table": target.name, "run": run_id}
    try:
        if target.forget_after is not None:
            statement, forgotten = forget(spark, path, target.forget_after, described(told), dry_run=dry_run)
            statements = (statement, *done.statements) if dry_run and forgotten else done.statements
            done = done.model_copy(update={"forgotten": forgotten, "statements": statements})
        if plan.statements and not dry_run:
            done = _laid_out(spark, path, plan, done, {**told, LAYOUT: plan.layout})
        removed = vacuum(spark, path, keep, commits, described(told), dry_run=dry_run)
    except Exception as error:
        if is_conflict(error):
            told_why = f"{winner(error)} came first; the next maintenance goes on"
            return done.model_copy(update={"status": "next time", "reason": told_why, "seconds": _since(started)})
        if told_better := _explained(error, target):
            raise told_better from error
        raise
    done = done.model_copy(update={"removed_files": removed.files, "version": removed.version or done.version})
    worked = bool(done.statements or done.forgotten) or done.version != commits[0].version or not removed.reason
    reason = "; ".join(filter(None, [done.reason, removed.reason]))
    told_last = {"status": "maintained" if worked else "left alone", "reason": reason, "seconds": _since(started)}
    return done.model_copy(update=told_last)


def _laid_out(spark: SparkSession, path: str, plan: LayoutPlan, done: Maintained, told: dict[str, str]) -> Maintained:
    result = apply_layout(spark, path, plan, described(told))
    return done.model_copy(
        update={
            "files_after": result.files,
            "bytes_after": result.bytes,
            "version": result.version or done.version,
            "reason": "" if result.version else "no two files could be put together",
        }
    )


def _explained(error: Exception, target: Target) -> LakehouseError | None:
    """What to do where the configuration asks for a layout that the table cannot have; None for any other error."""
    kind = error_class(error)
    remedy = next((words for name, words in _REMEDIES.items() if kind.startswith(name)), None)
    if remedy is None:
        return None
    return LakehouseError(f"{target.table} cannot be {_wanted(target)}: {brief(error)} {remedy} No row was touched.")


def _wanted(target: Target) -> str:
    columns: Sequence[str] = target.zorder_by or target.cluster_by
    return f"{'sorted' if target.zorder_by else 'clustered'} by {', '.join(columns)}" if columns else "optimised"


_REMEDIES = {
    "DELTA_ALTER_TABLE_CLUSTER_BY_ON_PARTITIONED_TABLE": (
        "It was made with partitions, and keeps them. Write partition_by again, or load it into a new table."
    ),
    "DELTA_CLUSTERING_COLUMN": "Name columns of plain types in cluster_by, among the table's first 32.",
    "DELTA_ZORDERING": "Name columns of the table in zorder_by that have statistics and are not its partitions.",
}


def _since(started: float) -> float:
    return time.monotonic() - started
