"""Publishing a batch's accepted rows: MERGE on the keys, or the whole table at once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.batches import set_state
from airflow_ingest.lakehouse.commits import Place, Stamp, generation, merge_from, stamped, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.errors import ConflictError, SchemaMismatch
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import LOOK_BACK, Commit, commits_after, history
from airflow_ingest.lakehouse.model import (
    ALREADY_APPLIED,
    Batch,
    GateOutcome,
    LoadResult,
    PartitionRange,
    RowCounts,
    RunInfo,
)
from airflow_ingest.lakehouse.pins import NO_PINS, Pins, recalled
from airflow_ingest.lakehouse.progress import Progress, progress_of
from airflow_ingest.lakehouse.quality.gate import rule_version
from airflow_ingest.lakehouse.silver.account import ACCOUNT, Account, Retracted, left_alone, reconcile
from airflow_ingest.lakehouse.silver.judged import judge, judging, published_rows, silver_of
from airflow_ingest.lakehouse.silver.retraction import retraction
from airflow_ingest.lakehouse.silver.statement import SOURCE_VIEW, Merge, Redo
from airflow_ingest.lakehouse.silver.tombstones import Tombstones
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.tables import change_feed, check_same_columns, ensure

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
    MERGE reads only the partitions that the batch can touch. With `pins`, a retry finds the commit of an attempt that
    got that far. Raises SchemaMismatch before anything is written, and ReconciliationError if the account does not
    add up.
    """
    started = time.monotonic()
    silver, path = silver_of(table), lake.silver(name)
    agreed = gate if gate and gate.batch.key == batch.key and gate.fingerprint == rule_version(table) else None
    progress = progress_of(spark, lake, name)
    with judging(spark):
        judged = judge(spark, lake, name, table, batch)
        rows = published_rows(judged, run)
        created = ensure(
            spark,
            lake,
            path,
            rows,
            columns=judged.columns,
            partition_by=silver.partition_by,
            table_properties=change_feed(judged.columns),
        )
        commits = history(spark, path, LOOK_BACK)
        place, application = Place.of(batch, commits), f"{batch.table}/{batch.id}/silver"
        if any(newer.id == batch.id and newer.generation > batch.generation > 0 for newer in progress.behind):
            return _passed_by(batch, started)
        version, commit = recalled(pins, f"{batch.id}/{batch.generation}", application, commits)
        applied = commit is not None
        if silver.load == "overwrite" and place.older and not applied:
            return _superseded(spark, lake, batch, run, agreed, started)
        if silver.schema_ == "enforce" and not created:
            check_same_columns(path, spark.read.format("delta").load(path).schema, rows.schema)
        known = {"pipeline": lake.pipeline, "layer": "silver", "table": name, "run": run.run_id}
        told = {"batch": batch.to_dict(), "highest": place.highest, "progress": progress.after(batch).to_dict()}
        load = _Load(spark, lake, table, run, batch, agreed, Stamp(application, version, {**known, **told}))
        with _type_errors(path):
            if commit is None and silver.load == "overwrite":
                commit = load.overwrite(rows)
            elif commit is None:
                commit = load.merge(rows, judged.columns, place, progress)
            elif silver.delete_when:
                load.finish(rows, judged.columns, progress)
            counts = load.counts(commit, rows)
    reconcile(path, batch, counts, complete=agreed is not None)
    return LoadResult.of_batch(
        STEP,
        batch,
        reason=ALREADY_APPLIED if applied else "",
        version=commit.version,
        rows=counts,
        seconds=time.monotonic() - started,
    )


def _passed_by(batch: Batch, started: float) -> LoadResult:
    """Bronze was loaded again since `batch` was handed on: what it holds now has not passed this run's gate."""
    reason = "bronze has a newer load of the batch, which its own run takes"
    return LoadResult.of_batch(STEP, batch, status="unchanged", reason=reason, seconds=time.monotonic() - started)


def _superseded(
    spark: SparkSession, lake: Lake, batch: Batch, run: RunInfo, gate: GateOutcome | None, started: float
) -> LoadResult:
    """A whole table that is older than the one published: it is settled, and nothing is written."""
    reason = "a newer load is published"
    set_state(spark, lake, batch, "superseded", reason, run.run_id)
    rows = gate.rows.model_copy(update={"superseded": gate.rows.unaccounted}) if gate else RowCounts()
    seconds = time.monotonic() - started
    return LoadResult.of_batch(STEP, batch, status="unchanged", reason=reason, rows=rows, seconds=seconds)


@dataclass(frozen=True)
class _Load:
    """The write of one batch into silver, in one commit that carries `stamp` and the load's account."""

    spark: SparkSession
    lake: Lake
    table: Table
    run: RunInfo
    batch: Batch
    gate: GateOutcome | None
    stamp: Stamp

    @property
    def _silver(self) -> Silver:
        return silver_of(self.table)

    @property
    def _path(self) -> str:
        return self.lake.silver(self.batch.table)

    def overwrite(self, rows: DataFrame) -> Commit:
        """`rows` are the whole table from now on."""
        stamp = self._with_account(Account(gate=self.gate.rows if self.gate else None))
        writer = stamped(rows.write.format("delta").mode("overwrite"), stamp)
        writer = writer.option("overwriteSchema", self._silver.schema_ == "evolve")
        writer.partitionBy(*self._silver.partition_by).save(self._path)
        return written(self.spark, self._path, stamp)

    def merge(self, rows: DataFrame, columns: Sequence[str], place: Place, progress: Progress) -> Commit:
        """`rows` go in by their keys; what an earlier load of the batch put there and this one has not goes out."""
        before = history(self.spark, self._path, 1)[0].version
        tombstones = self._tombstones()
        alive = tombstones.overtaking(rows, self.batch) if tombstones else rows
        redo, retracted = None, None
        if not place.first or (tombstones and tombstones.has(self.batch)):
            target = self.spark.read.format("delta").load(self._path).schema
            redo = Redo.of(self.batch, columns, rows.schema, target)
            retracted = retraction(
                self.spark, self.lake, self.table, self.batch, alive, progress, self.run, tombstones=tombstones
            )
        gate, lost = self.gate.rows if self.gate else None, retracted.account if retracted else Retracted()
        ranges = self.gate.partitions if self.gate and not retracted else ()
        stamp = self._with_account(Account(gate=gate, retracted=lost))
        try:
            if tombstones and (retracted or self.gate is None or self.gate.deletions):
                deletions = retracted.beside(alive) if retracted else alive
                tombstones = tombstones.bury(deletions, self._stamp_for("tombstones"), self.batch if redo else None)
                alive = tombstones.overtaking(rows, self.batch)
            source = retracted.beside(alive) if retracted else alive
            merge_rows(self.spark, self._path, source, self._silver, stamp, ranges=ranges, redo=redo)
            commit = written(self.spark, self._path, stamp)
            if retracted and _others_between(self.spark, self._path, before, commit.version):
                raise ConflictError(f"{self._path}: another load was published while keys were derived again.")
            if tombstones:
                tombstones.check()
            if tombstones and retracted:
                tombstones.unearth(retracted.undeleted, self.batch, self._stamp_for("undeleted"))
        finally:
            if retracted:
                retracted.release()
        return commit

    def finish(self, rows: DataFrame, columns: Sequence[str], progress: Progress) -> None:
        """Sees to what follows a MERGE's commit, after which an earlier attempt may have died."""
        again = replace(self, stamp=replace(self.stamp, version=generation()))
        again.merge(rows, columns, Place(first=False, highest=self.stamp.metadata["highest"]), progress)

    def counts(self, commit: Commit, rows: DataFrame) -> RowCounts:
        """What became of the rows, by the commit that was made of them, whatever has been committed since."""
        counts = Account.from_dict(commit.metadata.get(ACCOUNT, {})).counts(commit.metrics, self._silver)
        if counts.unaccounted <= 0 or self._silver.load != "merge":
            return counts
        tombstones = self._tombstones()
        rows = tombstones.overtaking(rows, self.batch) if tombstones else rows
        target = self.spark.read.format("delta").option("versionAsOf", commit.version).load(self._path)
        left = left_alone(rows, target, self._silver, counts.unaccounted)
        return counts.model_copy(update=left)

    def _tombstones(self) -> Tombstones | None:
        if self._silver.delete_when is None:
            return None
        return Tombstones.now(self.spark, self.lake, self.batch.table, self._silver.keys)

    def _with_account(self, account: Account) -> Stamp:
        return replace(self.stamp, metadata={**self.stamp.metadata, ACCOUNT: account.to_dict()})

    def _stamp_for(self, what: str) -> Stamp:
        named = {key: self.stamp.metadata[key] for key in ("pipeline", "table", "run")}
        return Stamp.now(f"{self.stamp.application}/{what}", **named, layer="ops")


def _others_between(spark: SparkSession, path: str, before: int, own: int) -> bool:
    """Whether another writer's rows were published after version `before` and ahead of `own`."""
    if own == before + 1:
        return False
    between = [commit for commit in commits_after(spark, path, before) if commit.version < own]
    return len(between) < own - before - 1 or any(commit.changes_rows for commit in between)


@contextmanager
def _type_errors(path: str) -> Iterator[None]:
    """Says which table cannot take a column of the batch."""
    try:
        yield
    except Exception as error:
        if any(name in str(error) for name in _TYPE_ERRORS):
            raise SchemaMismatch(
                f"{path}: a column of the batch has another type than the table's. {brief(error)} "
                "Silver is unchanged. Change the type under `silver.columns`, or load into a new table."
            ) from error
        raise


_TYPE_ERRORS = ("DELTA_FAILED_TO_MERGE_FIELDS", "DELTA_MERGE_INCOMPATIBLE", "DATATYPE_MISMATCH")


def merge_rows(
    spark: SparkSession,
    path: str,
    rows: DataFrame,
    silver: Silver,
    stamp: Stamp,
    *,
    ranges: Sequence[PartitionRange] = (),
    redo: Redo | None = None,
) -> None:
    """MERGEs `rows` (see `published_rows`) into the table at `path` in one commit that carries `stamp`.

    What `ranges` and `redo` change is told at `Merge.of`.
    """
    statement = Merge.of(silver, ranges, redo).sql(path)
    merge_from(spark, rows, SOURCE_VIEW, statement, stamp, _without_repartitioning(silver))


def _without_repartitioning(silver: Silver) -> Mapping[str, str]:
    """Delta gathers a MERGE's rows by partition before it writes, and takes a dot in a name for a nested field."""
    dotted = any("." in name for name in silver.partition_by)
    return {"spark.databricks.delta.merge.repartitionBeforeWrite.enabled": "false"} if dotted else {}
