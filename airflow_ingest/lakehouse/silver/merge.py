"""Publishing a batch's accepted rows: MERGE on the keys, or in the place of other rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.batches import set_state
from airflow_ingest.lakehouse.bronze import read_batch
from airflow_ingest.lakehouse.commits import Stamp
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.dlq import add_letters, dead_letters, with_letter_ids
from airflow_ingest.lakehouse.errors import ConflictError, ReconciliationError
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, bytes_put, in_effect, own_history, told
from airflow_ingest.lakehouse.model import (
    ALREADY_APPLIED,
    Batch,
    GateOutcome,
    LoadResult,
    RowCounts,
    RunInfo,
    short_hash,
)
from airflow_ingest.lakehouse.pins import NO_PINS, Pins, recalled
from airflow_ingest.lakehouse.progress import passed_over, progress_of
from airflow_ingest.lakehouse.quality.gate import rule_version
from airflow_ingest.lakehouse.settings import compiled, rows_expected
from airflow_ingest.lakehouse.silver.account import reconcile
from airflow_ingest.lakehouse.silver.identity import IDENTITY, SHAPE, check_identity, identity
from airflow_ingest.lakehouse.silver.judged import judge, judging, published_rows, require_rules, silver_of
from airflow_ingest.lakehouse.silver.load import Load, others_between
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.regions import Region
from airflow_ingest.lakehouse.silver.tombstones import tombstones_path
from airflow_ingest.lakehouse.silver.working_out import shaped
from airflow_ingest.lakehouse.tables import check_same_columns, ensure
from airflow_ingest.lakehouse.widening import widen, widening

STEP = "merge_silver"


@replanned
def merge_silver(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    run: RunInfo,
    batch: Batch,
    gate: GateOutcome | None = None,
    *,
    pins: Pins = NO_PINS,
) -> LoadResult:
    """Publishes the accepted rows of `batch` into silver; doing it again changes nothing.

    With the `gate`'s outcome on the same batch and rules, the result has the whole account of the rows, and the
    MERGE reads only the partitions that the batch can touch; without it, what is rejected gets its letters here. With
    `pins`, a retry finds the commit of an attempt that got that far. Raises SchemaMismatch before anything is written,
    also where the table was loaded by other keys, and ReconciliationError if the account does not add up, though no
    other load was published meanwhile.
    """
    started = time.monotonic()
    silver, path = silver_of(table), lake.silver(name)
    agreed = gate if gate and gate.batch.key == batch.key and gate.fingerprint == rule_version(table) else None
    progress = progress_of(spark, lake, name)
    same = agreed if any(waiting.key == batch.key for waiting in progress.behind) else None
    lookups = Lookups.of(spark, lake, table, same.lookups if same else None)
    with judging(spark):
        pinned = read_batch(spark, lake, batch, progress.bronze) if same else None
        judged = judge(spark, lake, name, table, batch, lookups, pinned, found=same.rows if same else None)
        if not batch.released:
            require_rules(f"tables.{name}", table, judged)
        rows = published_rows(judged, run)
        as_silver = shaped(rows, silver)
        created = ensure(
            spark,
            lake,
            path,
            as_silver,
            columns=judged.columns,
            partition_by=silver.partition_by,
        )
        commits = own_history(spark, path)
        paths = (path, tombstones_path(lake, name)) if silver.deleting else (path,)
        check_identity(path, silver, commits, *paths[1:])
        place, application = progress.place(batch, commits), f"{batch.table}/{batch.id}/silver"
        if any(newer.id == batch.id and newer.generation > batch.generation > 0 for newer in progress.behind):
            return _passed_by(batch, started)
        version, commit = recalled(pins, f"{batch.id}/{batch.generation}", application, commits)
        applied = commit is not None
        region = None if silver.by_key else Region.of(silver, batch, place)
        if region and not applied and region.is_overtaken(spark, path, silver, batch, place, commits):
            return _superseded(spark, lake, batch, run, agreed, started)
        if agreed is None:  # the gate has judged by other rules, or not at all
            letters = dead_letters(with_letter_ids(judged.rows, name), batch, run, rule_version(table))
            add_letters(spark, lake, name, letters, run)
        if not created and not applied:
            _prepare(spark, silver, as_silver, commits, *paths)
        known = {"pipeline": lake.pipeline, "layer": "silver", "table": name, "run": run.run_id}
        said = {SHAPE: _shape(silver), IDENTITY: identity(silver)}
        found = {"batch": batch.to_dict(), "highest": place.highest, "progress": progress.after(batch).to_dict()}
        stamp = Stamp(application, version, {**known, **said, **found})
        load = Load(spark, lake, table, run, batch, agreed, lookups, stamp, seen=same is not None)
        many = max(agreed.rows.read if agreed else 0, rows_expected(commits))
        with compiled(spark, many), widening(spark, lambda: as_silver.schema, *paths):
            if commit is None:
                commit = load.publish(rows, judged.columns, place, progress, region)
            else:
                load.finish(rows, judged.columns, progress)
            counts = load.counts(commit, rows)
    for other in passed_over(spark, lake, name, batch) if silver.by_key and not place.first else ():
        merge_silver(spark, lake, name, table, run, other)
    try:
        reconcile(path, batch, counts, complete=agreed is not None)
    except ReconciliationError as error:
        if others_between(spark, path, progress.base, commit.version):
            raise ConflictError(f"{path}: another load of the same keys was published meanwhile.") from error
        raise
    return LoadResult.of_batch(
        STEP,
        batch,
        highest=commit.metadata.get("highest"),
        reason=ALREADY_APPLIED if applied else "",
        version=commit.version,
        rows=counts,
        bytes_written=bytes_put(commit.metrics),
        seconds=time.monotonic() - started,
    )


def _passed_by(batch: Batch, started: float) -> LoadResult:
    """Bronze was loaded again since `batch` was handed on: what it holds now has not passed this run's gate."""
    reason = "bronze has a newer load of the batch, which its own run takes"
    return LoadResult.of_batch(STEP, batch, status="unchanged", reason=reason, seconds=time.monotonic() - started)


def _superseded(
    spark: SparkSession, lake: Lake, batch: Batch, run: RunInfo, gate: GateOutcome | None, started: float
) -> LoadResult:
    """What would take the place of a newer batch is settled, and nothing is written."""
    reason = "a newer load is published"
    set_state(spark, lake, batch, "superseded", reason, run.run_id)
    rows = gate.rows.model_copy(update={"superseded": gate.rows.unaccounted}) if gate else RowCounts()
    seconds = time.monotonic() - started
    return LoadResult.of_batch(STEP, batch, status="unchanged", reason=reason, rows=rows, seconds=seconds)


def _prepare(spark: SparkSession, silver: Silver, rows: DataFrame, commits: Sequence[Commit], *paths: str) -> None:
    """Sees to it that the tables at `paths`, silver first, can take `rows`, where that has to be looked at beforehand.

    Raises SchemaMismatch if they may not.
    """
    if silver.schema_ == "enforce":
        check_same_columns(paths[0], spark.read.format("delta").load(paths[0]).schema, rows.schema)
    elif silver.load != "overwrite" and _has_other_columns(silver, commits):
        for path in paths:
            widen(spark, path, rows.schema)


def _has_other_columns(silver: Silver, commits: Sequence[Commit]) -> bool:
    """Whether the configuration says other things of silver's columns than when the newest of `commits` were made."""
    return told(in_effect(commits), SHAPE) not in (None, _shape(silver))


def _shape(silver: Silver) -> str:
    said = {"transform", "sql", "columns", "keep_others", "images", "sequence_by"}
    return short_hash(silver.model_dump_json(include=said))
