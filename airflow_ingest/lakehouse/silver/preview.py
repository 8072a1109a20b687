"""What a load would do to silver, worked out by the parts that do it, and nothing written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.commits import Place
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, own_history
from airflow_ingest.lakehouse.model import Batch, GateOutcome, RunInfo
from airflow_ingest.lakehouse.progress import Progress, progress_of
from airflow_ingest.lakehouse.silver.account import Account, left_alone
from airflow_ingest.lakehouse.silver.changes import Changes
from airflow_ingest.lakehouse.silver.derivation import Derivation
from airflow_ingest.lakehouse.silver.earlier import NEVER, earlier_keys
from airflow_ingest.lakehouse.silver.identity import check_identity
from airflow_ingest.lakehouse.silver.judged import Judged, published_rows, silver_of
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.regions import Region
from airflow_ingest.lakehouse.silver.retraction import retraction
from airflow_ingest.lakehouse.silver.statement import SOURCE_VIEW, Merge, Redo, pruning
from airflow_ingest.lakehouse.silver.tombstones import Tombstones
from airflow_ingest.lakehouse.silver.working_out import shaped, worked_out
from airflow_ingest.lakehouse.tables import check_same_columns
from airflow_ingest.lakehouse.widening import changes, check_widens


@dataclass(frozen=True)
class Preview:
    """A batch that the `gate` has seen, whose `planned` rows bronze does not hold yet, before it is published."""

    spark: SparkSession
    lake: Lake
    table: Table
    run: RunInfo
    judged: Judged
    gate: GateOutcome
    lookups: Lookups
    planned: DataFrame

    def told(self) -> Mapping[str, Any]:
        """A `TablePlan`'s status, rows and statement. Raises SchemaMismatch as the load would."""
        check_identity(self._path, self._silver, self._commits)
        if self._commits and self._silver.schema_ == "enforce":
            check_same_columns(self._path, self._target.schema, self._shaped.schema)
        elif self._commits and self._silver.load != "overwrite":
            check_widens(self._path, changes(self._target.schema, self._shaped.schema))
        if not self._silver.by_key:
            return self._of_region(Region.of(self._silver, self._batch, self._place))
        if self._silver.worked_out:
            return self._worked_out()
        return self._of_rows()

    def _of_region(self, region: Region) -> Mapping[str, Any]:
        statement = region.statement(self._path, SOURCE_VIEW)
        if self.gate.decision == "block":
            return self._held(statement)
        accepted, place = self.gate.rows.unaccounted, self._place
        if self._commits and region.is_overtaken(
            self.spark, self._path, self._silver, self._batch, place, self._commits
        ):
            counts = self.gate.rows.model_copy(update={"superseded": accepted})
            return {"status": "supersede", "reason": "a newer load is published", "rows": counts}
        counts = self._account.counts({"numOutputRows": accepted}, self._silver)
        return {"rows": counts, "statement": statement, "overwrites": not region.fresh}

    def _worked_out(self) -> Mapping[str, Any]:
        silver, ranges = self._silver, self.gate.partitions
        merge = (
            Merge.of_versions(silver, "(a value differs)", ranges)
            if silver.load == "scd2"
            else Merge.of_states(silver, ranges)
        )
        if self.gate.decision == "block":
            return self._held(merge.sql(self._path))
        earlier = NEVER
        if not self._place.first:
            earlier = earlier_keys(self.spark, self.lake, self.table, self._batch, self.lookups)
        found = worked_out(
            Changes(
                silver,
                self.judged.columns,
                self._rows,
                self._target if self._commits else self._shaped.limit(0),
                self._tombstones,
                self._derivation,
                earlier,
                within=pruning(ranges),
            )
        )
        account = self._account.model_copy(update={"changes": found.counts})
        return {"rows": account.counts({}, silver), "statement": merge.sql(self._path)}

    def _of_rows(self) -> Mapping[str, Any]:
        gate, place, silver = self.gate, self._place, self._silver
        merge = Merge.of(silver, gate.partitions, in_order=place.first)
        if gate.decision == "block":
            return self._held(merge.sql(self._path))
        if not self._commits:
            inserted = gate.rows.unaccounted - gate.deletions
            counts = self._account.counts({"numTargetRowsInserted": inserted}, silver)
            counts = counts.model_copy(update={"unchanged": gate.deletions})
            return {"rows": counts, "statement": merge.sql(self._path)}
        tombstones = self._tombstones
        rows = tombstones.overtaking(self._rows, self._batch) if tombstones else self._rows
        redo, retracted, account = None, None, self._account
        if not place.first or (tombstones and tombstones.has(self._batch)):
            redo = Redo.of(self._batch, self.judged.columns, rows.schema, self._target.schema)
            retracted = retraction(
                self.spark,
                self.lake,
                self.table,
                self._batch,
                rows,
                self._progress,
                self.run,
                self.lookups,
                tombstones=tombstones,
                planned=self.planned,
            )
        merge = Merge.of(silver, () if retracted else gate.partitions, redo, in_order=place.first)
        metrics = merge.metrics(retracted.beside(rows) if retracted else rows, self._target)
        if retracted:
            account = account.model_copy(update={"retracted": retracted.account})
        counts = account.counts(metrics, silver)
        if counts.unaccounted > 0:
            counts = counts.model_copy(update=left_alone(rows, self._target, silver, counts.unaccounted))
        return {"rows": counts, "statement": merge.sql(self._path)}

    def _held(self, statement: str) -> Mapping[str, Any]:
        return {"status": "hold", "reason": "; ".join(self.gate.reasons), "statement": statement}

    @property
    def _derivation(self) -> Derivation:
        return Derivation(
            self.spark,
            self.lake,
            self.table,
            self._batch.table,
            self._progress,
            self.run,
            self.lookups,
            self._batch,
            self.planned,
        )

    @property
    def _silver(self) -> Silver:
        return silver_of(self.table)

    @property
    def _batch(self) -> Batch:
        return self.gate.batch

    @property
    def _path(self) -> str:
        return self.lake.silver(self._batch.table)

    @property
    def _account(self) -> Account:
        return Account(gate=self.gate.rows)

    @cached_property
    def _commits(self) -> Sequence[Commit]:
        return own_history(self.spark, self._path)

    @cached_property
    def _place(self) -> Place:
        place = Place.of(self._batch, self._commits)
        new = self._batch.transaction is not None and not self._batch.repeats
        return replace(place, first=True) if new or not self._commits else place

    @cached_property
    def _progress(self) -> Progress:
        return progress_of(self.spark, self.lake, self._batch.table)

    @cached_property
    def _rows(self) -> DataFrame:
        return published_rows(self.judged, self.run)

    @cached_property
    def _shaped(self) -> DataFrame:
        return shaped(self._rows, self._silver)

    @cached_property
    def _target(self) -> DataFrame:
        return self.spark.read.format("delta").load(self._path)

    @cached_property
    def _tombstones(self) -> Tombstones | None:
        if not self._silver.deleting:
            return None
        return Tombstones.now(self.spark, self.lake, self._batch.table, self._silver.keys)
