"""The write of one batch into silver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.commits import FIRST, Place, Stamp, generation, merge_from, stamped, written
from airflow_ingest.lakehouse.errors import ConflictError
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, commits_after, history, others_among
from airflow_ingest.lakehouse.model import Batch, GateOutcome, PartitionRange, RowCounts, RunInfo
from airflow_ingest.lakehouse.progress import DERIVED, WORKED_OUT, Progress
from airflow_ingest.lakehouse.silver.account import ACCOUNT, Account, Retracted, left_alone, reconcile
from airflow_ingest.lakehouse.silver.changes import Changes
from airflow_ingest.lakehouse.silver.derivation import Derivation
from airflow_ingest.lakehouse.silver.earlier import NEVER, Earlier, earlier_keys
from airflow_ingest.lakehouse.silver.judged import silver_of
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.regions import REGION, Region
from airflow_ingest.lakehouse.silver.retraction import retraction
from airflow_ingest.lakehouse.silver.statement import SOURCE_VIEW, Merge, Redo, pruning, without_repartitioning
from airflow_ingest.lakehouse.silver.tombstones import Tombstones
from airflow_ingest.lakehouse.silver.working_out import merge_outcome, worked_out
from airflow_ingest.lakehouse.sql import quote


@dataclass(frozen=True)
class Load:
    """The write of one batch into silver, in one commit that carries `stamp` and the load's account.

    `seen` says that the `gate` saw these very rows: before a batch is merged again, letters may have been replayed.
    """

    spark: SparkSession
    lake: Lake
    table: Table
    run: RunInfo
    batch: Batch
    gate: GateOutcome | None
    lookups: Lookups
    stamp: Stamp
    seen: bool = False

    @property
    def _ranges(self) -> Sequence[PartitionRange]:
        return self.gate.partitions if self.gate and self.seen else ()

    @property
    def _may_delete(self) -> bool:
        return not (self.gate and self.seen) or self.gate.deletions > 0

    @property
    def _silver(self) -> Silver:
        return silver_of(self.table)

    @property
    def _path(self) -> str:
        return self.lake.silver(self.batch.table)

    def publish(
        self, rows: DataFrame, columns: Sequence[str], place: Place, progress: Progress, region: Region | None
    ) -> Commit:
        """`rows` with the values `columns` go into silver as the configuration says: see `put`, `keep` and `merge`."""
        if region is not None:
            return self.put(rows, region)
        load = self.keep if self._silver.worked_out else self.merge
        return load(rows, columns, place, progress)

    def put(self, rows: DataFrame, region: Region) -> Commit:
        """`rows` take the place of what is in `region`; of two that are both the first there, Delta takes one."""
        stamp = self._with_account(Account(gate=self.gate.rows if self.gate else None))
        version = FIRST if region.fresh else stamp.version
        stamp = replace(stamp, version=version, metadata={**stamp.metadata, REGION: region.predicate})
        stamped(region.writer(rows, self._silver), stamp).save(self._path)
        return written(self.spark, self._path, stamp)

    def merge(self, rows: DataFrame, columns: Sequence[str], place: Place, progress: Progress) -> Commit:
        """`rows` go in by their keys; what an earlier load of the batch put there and this one has not goes out."""
        tombstones = self._tombstones()
        again = not place.first or (tombstones is not None and tombstones.has(self.batch))
        if tombstones or again:
            rows = checkpointed(rows)  # they are read several times
        alive = tombstones.overtaking(rows, self.batch) if tombstones else rows
        redo, retracted = None, None
        if again:
            target = self.spark.read.format("delta").load(self._path).schema
            redo = Redo.of(self.batch, columns, rows.schema, target)
            retracted = retraction(
                self.spark,
                self.lake,
                self.table,
                self.batch,
                alive,
                progress,
                self.run,
                self.lookups,
                tombstones=tombstones,
            )
        gate, lost = self.gate.rows if self.gate else None, retracted.account if retracted else Retracted()
        ranges = () if retracted else self._ranges
        stamp = self._with_account(Account(gate=gate, retracted=lost))
        stamp = replace(stamp, metadata={**stamp.metadata, DERIVED: lost.lost}) if retracted else stamp
        if tombstones and (retracted or self._may_delete):
            deletions = retracted.beside(alive) if retracted else alive
            tombstones = tombstones.bury(deletions, self._stamp_for("tombstones"), self.batch if redo else None)
            alive = tombstones.overtaking(rows, self.batch)
        source = retracted.beside(alive) if retracted else alive
        in_order = place.first and self.batch.interval is not None
        merge_rows(self.spark, self._path, source, self._silver, stamp, ranges=ranges, redo=redo, in_order=in_order)
        commit = written(self.spark, self._path, stamp)
        if tombstones:
            tombstones.check()
        if tombstones and retracted:
            tombstones.unearth(retracted.undeleted, self.batch, self._stamp_for("undeleted"))
        return commit

    def keep(self, rows: DataFrame, columns: Sequence[str], place: Place, progress: Progress) -> Commit:
        """`rows` are changes, of which the rows of their keys are worked out."""
        before = history(self.spark, self._path, 1)[0].version
        earlier = NEVER if place.first else earlier_keys(self.spark, self.lake, self.table, self.batch, self.lookups)
        tombstones = self._tombstones()
        found = worked_out(
            Changes(
                self._silver,
                columns,
                rows,
                self.spark.read.format("delta").option("versionAsOf", before).load(self._path),
                tombstones,
                Derivation(
                    self.spark,
                    self.lake,
                    self.table,
                    self.batch.table,
                    progress,
                    self.run,
                    self.lookups,
                    self.batch,
                ),
                self._with_buried(earlier, tombstones),
                within=pruning(self._ranges),
            )
        )
        stamp = self._with_account(Account(gate=self.gate.rows if self.gate else None, changes=found.counts))
        stamp = replace(stamp, metadata={**stamp.metadata, WORKED_OUT: before})
        if tombstones and (found.deletes or found.derived):
            redo = self.batch if found.derived else None
            tombstones = tombstones.bury(found.deletions, self._stamp_for("tombstones"), redo)
        ranges = () if found.derived else self._ranges
        merge_outcome(self.spark, self._path, found, self._silver, columns, stamp, ranges=ranges)
        commit = written(self.spark, self._path, stamp)
        if others_between(self.spark, self._path, before, commit.version):
            raise ConflictError(f"{self._path}: another load was published while its rows were worked out.")
        if tombstones:
            tombstones.check()
        if tombstones and found.derived:
            tombstones.unearth(found.undeleted, self.batch, self._stamp_for("undeleted"))
        return commit

    def _with_buried(self, earlier: Earlier, tombstones: Tombstones | None) -> Earlier:
        """`earlier` with the keys that an attempt at the batch has buried which died, or failed, before its MERGE."""
        graves = tombstones.of(self.batch) if tombstones else None
        if graves is None or earlier.unknown or graves.isEmpty():
            return earlier
        buried = graves.select(*map(quote, self._silver.keys))
        return Earlier(buried if earlier.keys is None else earlier.keys.unionByName(buried))

    def finish(self, rows: DataFrame, columns: Sequence[str], progress: Progress) -> None:
        """Sees to what follows a MERGE's commit, after which an earlier attempt may have died."""
        if self._silver.worked_out or (self._silver.deleting and self._silver.load == "merge"):
            again = replace(self, stamp=replace(self.stamp, version=generation()))
            place = Place(first=False, highest=self.stamp.metadata["highest"])
            again.publish(rows, columns, place, progress, None)

    def counts(self, commit: Commit, rows: DataFrame) -> RowCounts:
        """What became of the rows, by the commit that was made of them, whatever has been committed since.

        Raises ReconciliationError if the MERGE was given fewer rows than the gate has accepted.
        """
        account = Account.from_dict(commit.metadata.get(ACCOUNT, {}))
        counts = account.counts(commit.metrics, self._silver)
        if not self._silver.by_key:
            return counts
        if self.gate and self.seen and account.counted:
            accepted = self.gate.rows.unaccounted
            given = min(accepted, commit.metrics.get("numSourceRows", accepted))
            reconcile(self._path, self.batch, self.gate.rows.model_copy(update={"inserted": given}), complete=True)
        if counts.unaccounted <= 0:
            return counts
        tombstones = self._tombstones()
        rows = tombstones.overtaking(rows, self.batch) if tombstones else rows
        target = self.spark.read.format("delta").option("versionAsOf", commit.version).load(self._path)
        left = left_alone(rows, target, self._silver, counts.unaccounted)
        return counts.model_copy(update=left)

    def _tombstones(self) -> Tombstones | None:
        if not self._silver.deleting:
            return None
        return Tombstones.now(self.spark, self.lake, self.batch.table, self._silver.keys)

    def _with_account(self, account: Account) -> Stamp:
        return replace(self.stamp, metadata={**self.stamp.metadata, ACCOUNT: account.to_dict()})

    def _stamp_for(self, what: str) -> Stamp:
        named = {key: self.stamp.metadata[key] for key in ("pipeline", "table", "run")}
        return Stamp.now(f"{self.stamp.application}/{what}", **named, layer="ops")


def others_between(spark: SparkSession, path: str, before: int, own: int) -> bool:
    """Whether another writer's rows were published after version `before` and ahead of `own`."""
    return own > before + 1 and others_among(commits_after(spark, path, before), before, own)


def merge_rows(
    spark: SparkSession,
    path: str,
    rows: DataFrame,
    silver: Silver,
    stamp: Stamp,
    *,
    ranges: Sequence[PartitionRange] = (),
    redo: Redo | None = None,
    in_order: bool = False,
) -> None:
    """MERGEs `rows` (see `published_rows`) into the table at `path` in one commit that carries `stamp`.

    What `ranges`, `redo` and `in_order` change is told at `Merge.of`.
    """
    statement = Merge.of(silver, ranges, redo, in_order=in_order).sql(path)
    merge_from(spark, rows, SOURCE_VIEW, statement, stamp, without_repartitioning(silver.partition_by))
