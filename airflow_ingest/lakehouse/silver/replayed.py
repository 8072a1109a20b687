"""Replayed rows go into silver as if they had come in their time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.commits import Stamp, highest_of, written
from airflow_ingest.lakehouse.errors import ConflictError
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history, in_effect, own_history, told
from airflow_ingest.lakehouse.model import RunInfo
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.lakehouse.silver.changes import Changes
from airflow_ingest.lakehouse.silver.derivation import Derivation
from airflow_ingest.lakehouse.silver.identity import IDENTITY, SHAPE
from airflow_ingest.lakehouse.silver.judged import Judged, published_rows, silver_of
from airflow_ingest.lakehouse.silver.load import merge_rows, others_between
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.tombstones import Tombstones, tombstones_path
from airflow_ingest.lakehouse.silver.working_out import merge_outcome, shaped, worked_out
from airflow_ingest.lakehouse.tables import ensure
from airflow_ingest.lakehouse.widening import widening


@dataclass(frozen=True)
class Replayed:
    """The accepted ones of some `judged` rows, on their way into silver in one commit."""

    spark: SparkSession
    lake: Lake
    name: str
    table: Table
    run: RunInfo
    judged: Judged
    lookups: Lookups

    def merge(self) -> int:
        """Merges them and returns silver's version; doing it again changes nothing."""
        with widening(self.spark, self._shape, self._path, tombstones_path(self.lake, self.name)):
            return self._keep() if silver_of(self.table).worked_out else self._merge()

    @property
    def _path(self) -> str:
        return self.lake.silver(self.name)

    def _shape(self) -> StructType:
        return shaped(self._rows(), silver_of(self.table)).schema

    def _rows(self) -> DataFrame:
        return published_rows(self.judged, self.run)

    def _stamp(self) -> Stamp:
        known = {"pipeline": self.lake.pipeline, "table": self.name, "run": self.run.run_id}
        commits = own_history(self.spark, self._path)
        kept = {key: told(in_effect(commits), key) for key in (IDENTITY, SHAPE)}  # where many replays follow a load
        return Stamp.now(f"{self.name}/replay", layer="silver", highest=highest_of(commits), **known, **kept)

    def _merge(self) -> int:
        silver, rows, stamp = silver_of(self.table), self._rows(), self._stamp()
        ensure(self.spark, self.lake, self._path, rows, partition_by=silver.partition_by)
        tombstones = self._tombstones()
        if tombstones:
            tombstones = tombstones.bury(rows, _for_tombstones(stamp))
            rows = tombstones.overtaking(rows)
        merge_rows(self.spark, self._path, rows, silver, stamp)
        version = written(self.spark, self._path, stamp).version
        if tombstones:
            tombstones.check()
        return version

    def _keep(self) -> int:
        """They are changes among those that bronze holds."""
        silver, rows, stamp = silver_of(self.table), self._rows(), self._stamp()
        ensure(self.spark, self.lake, self._path, shaped(rows, silver), partition_by=silver.partition_by)
        before = history(self.spark, self._path, 1)[0].version
        tombstones = self._tombstones()
        progress = progress_of(self.spark, self.lake, self.name)
        beside = self.judged if silver.load == "merge" else None
        found = worked_out(
            Changes(
                silver,
                self.judged.columns,
                rows,
                self.spark.read.format("delta").option("versionAsOf", before).load(self._path),
                tombstones,
                Derivation(
                    self.spark, self.lake, self.table, self.name, progress, self.run, self.lookups, beside=beside
                ),
            )
        )
        if tombstones:
            tombstones = tombstones.bury(found.deletions, _for_tombstones(stamp))
        merge_outcome(self.spark, self._path, found, silver, self.judged.columns, stamp)
        version = written(self.spark, self._path, stamp).version
        if others_between(self.spark, self._path, before, version):
            raise ConflictError(f"{self._path}: another load was published while its rows were worked out.")
        if tombstones:
            tombstones.check()
        return version

    def _tombstones(self) -> Tombstones | None:
        if not silver_of(self.table).deleting:
            return None
        return Tombstones.now(self.spark, self.lake, self.name, silver_of(self.table).keys)


def _for_tombstones(stamp: Stamp) -> Stamp:
    told = {**stamp.metadata, "layer": "ops"}
    return replace(stamp, application=f"{stamp.application}/tombstones", metadata=told)
