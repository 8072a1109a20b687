"""Taking a table back to an earlier version of itself.

A moment is turned into a version first: Delta's log then says which version a RESTORE went back to, and with it which
loads are undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pydantic import AwareDatetime

from airflow_ingest.lakehouse.commits import described
from airflow_ingest.lakehouse.conflicts import is_conflict, winner
from airflow_ingest.lakehouse.errors import ConflictError, LakehouseError
from airflow_ingest.lakehouse.log import Commit, history, in_effect
from airflow_ingest.lakehouse.maintenance.vacuum import LISTING
from airflow_ingest.lakehouse.model import Batch, Value
from airflow_ingest.lakehouse.settings import settings_of
from airflow_ingest.lakehouse.spark_errors import brief, error_class
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import own_properties

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake

LAYERS = ("bronze", "silver", "dlq", "gold")


class Undone(Value):
    """A commit that a restore takes back: what it was, when, of which run, and the batch that it brought, if any."""

    version: int
    operation: str
    at: AwareDatetime | None = None
    run_id: str = ""
    batch: Batch | None = None


class RestorePlan(Value):
    """What a restore would do with one table, such as `silver.orders`.

    - `now`: its newest version; `to`: the version that it goes back to, committed `at` a time
    - `undone`: the commits that changed its rows since, newest first
    """

    table: str
    now: int
    to: int
    at: AwareDatetime | None = None
    undone: tuple[Undone, ...] = ()


def plan_restore(spark: SparkSession, lake: Lake, table: str, to: int | datetime) -> RestorePlan:
    """What going back to `to`, a version or the newest version of a time, would undo.

    Raises LakehouseError where there is no such table, no such version, nothing to undo, or the version can no longer
    be read; TableOwnedByOther for a table of another pipeline.
    """
    path = lake.path(*table.split(".", 1))
    own_properties(spark, lake, path)
    newest = history(spark, path, 1)
    if not newest:
        raise LakehouseError(f"{table}: there is no table at {path} yet, so there is nothing to restore.")
    commits = history(spark, path, newest[0].version + 1)
    there = _found(table, commits, to)
    undone = [commit for commit in in_effect(commits) if commit.version > there.version and commit.changes_rows]
    if not undone:
        raise LakehouseError(
            f"{table} has the rows of version {there.version} already: nothing has changed them since. It is at "
            f"version {newest[0].version}."
        )
    _check_readable(spark, path, table, there)
    return RestorePlan(
        table=table,
        now=newest[0].version,
        to=there.version,
        at=there.at,
        undone=tuple(map(_undone, undone)),
    )


def restore_table(spark: SparkSession, lake: Lake, plan: RestorePlan, run_id: str) -> int:
    """Executes `plan` in one commit, and returns its version.

    Raises ConflictError if the table has changed since it was planned, and LakehouseError where files are missing.
    """
    layer, name = plan.table.split(".", 1)
    path = lake.path(layer, name)
    now = history(spark, path, 1)[0].version
    if now != plan.now:
        raise ConflictError(
            f"{plan.table} went from version {plan.now} to {now} meanwhile: a load or maintenance came first. Nothing "
            "was restored. Look again what would be undone, and keep loads away (pause the DAG)."
        )
    told = {"pipeline": lake.pipeline, "layer": layer, "table": name, "run": run_id}
    try:
        with settings_of(spark, {**described(told), **LISTING}):
            spark.sql(f"RESTORE TABLE {sql_table(path)} TO VERSION AS OF {plan.to:d}").collect()
    except Exception as error:
        if is_conflict(error):
            raise ConflictError(
                f"{plan.table}: {winner(error)} came first. Nothing was restored. Try again."
            ) from error
        if any(name in str(error) for name in _FILES_GONE):
            raise _gone(plan.table, plan.to, plan.at, brief(error)) from error
        raise
    restored = (commit for commit in history(spark, path, 10) if commit.operation == "RESTORE")
    return next(restored).version


_FILES_GONE = ("Not all files from version", "FAILED_READ_FILE", "FileNotFoundException", "FILE_NOT_EXIST")
_TOO_OLD = "DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION"


def _found(table: str, commits: Sequence[Commit], to: int | datetime) -> Commit:
    """The commit of version `to`, or the newest one that was made by then."""
    newest, oldest = commits[0], commits[-1]
    if isinstance(to, datetime):
        found = next((commit for commit in commits if commit.at is not None and commit.at <= to), None)
        if found is None:
            raise LakehouseError(
                f"{table} has no version from {_moment(to)} or before: the oldest in its log is {oldest.version}, of "
                f"{_moment(oldest.at)}. Name a later time."
            )
        return found
    found = next((commit for commit in commits if commit.version == to), None)
    if found is None:
        cleaned = "; older ones were cleaned up" if oldest.version > to else ""
        raise LakehouseError(
            f"{table} has no version {to}: its log has {oldest.version} (of {_moment(oldest.at)}) to {newest.version} "
            f"(of {_moment(newest.at)}){cleaned}. Name one of these, or a time."
        )
    return found


def _check_readable(spark: SparkSession, path: str, table: str, there: Commit) -> None:
    """Raises LakehouseError if Delta no longer gives the version, or files of it are missing."""
    from pyspark.sql import functions as F

    rows = spark.read.format("delta").option("versionAsOf", there.version).load(path)
    try:
        rows.select(F.col("_metadata.file_path")).distinct().count()
    except Exception as error:
        if _TOO_OLD in error_class(error) or any(name in str(error) for name in _FILES_GONE):
            raise _gone(table, there.version, there.at, brief(error)) from error
        raise


def _gone(table: str, version: int, at: datetime | None, reason: str) -> LakehouseError:
    return LakehouseError(
        f"{table} can no longer go back to version {version}, of {_moment(at)}: files of it were removed, or are too "
        f"old to be kept ({reason}). Nothing was changed. Name a newer version (DESCRIBE HISTORY lists them), or load "
        "the table again from its source. To be able to go back further in future, raise the table's property "
        "delta.deletedFileRetentionDuration (7 days unless set)."
    )


def _undone(commit: Commit) -> Undone:
    batch = commit.metadata.get("batch")
    return Undone(
        version=commit.version,
        operation=commit.operation,
        at=commit.at,
        run_id=str(commit.metadata.get("run", "")),
        batch=Batch.from_dict(batch).without_files() if batch else None,
    )


def _moment(at: datetime | None) -> str:
    return "an unknown time" if at is None else f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
