"""Publishing a gold table's new rows: judged first, then written in one commit."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.commits import Stamp, stamped, written
from airflow_ingest.lakehouse.errors import ConflictError, RulesBroken
from airflow_ingest.lakehouse.gold.merge import merge_rows
from airflow_ingest.lakehouse.gold.news import BASE
from airflow_ingest.lakehouse.gold.rules import judge_result
from airflow_ingest.lakehouse.gold.scope import Scope
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, rows_put
from airflow_ingest.lakehouse.model import RowCounts, RuleResult, RunInfo
from airflow_ingest.lakehouse.quality.results import Judgement, past_values, record
from airflow_ingest.lakehouse.silver.judged import judging
from airflow_ingest.lakehouse.silver.load import others_between
from airflow_ingest.lakehouse.silver.rows import same_key

COMPARED = "compared"
"""In a commit of gold: how many rows of the query's result were compared with the table."""
_MERGED = {"inserted": "numTargetRowsInserted", "updated": "numTargetRowsUpdated", "deleted": "numTargetRowsDeleted"}


@dataclass(frozen=True)
class Published:
    """The `commit` of the new rows, how each rule came out, and the columns with their types where known."""

    commit: Commit
    rules: tuple[RuleResult, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Publication:
    """New rows of the gold table `name`, on their way into it in a commit that carries `stamp`.

    They take the place of the rows in `scope`, of all without one; with `base`, the table's version now, only what
    differs from it is written.
    """

    spark: SparkSession
    lake: Lake
    name: str
    gold: Gold
    scope: Scope | None
    base: int | None
    stamp: Stamp

    def publish(self, rows: DataFrame, run: RunInfo) -> Published:
        """Writes `rows`, if the rules let them pass.

        Raises RulesBroken if one of severity error is broken, and ConflictError if somebody else wrote meanwhile.
        """
        if not self.gold.quality.rules and self.gold.load != "merge":
            self._put(rows)
            return Published(written(self.spark, self._path, self.stamp))
        checked = checkpointed(rows)
        moment = run.interval.end if run.interval else datetime.now(timezone.utc)
        past = past_values(self.spark, self.lake, f"gold.{self.name}", self.gold.quality.rules, run.run_id)
        with judging(self.spark):
            judgement = judge_result(self.name, self.gold, checked, moment, past, self._beside(checked))
        stamp = self._publish(checked, judgement, run)
        if judgement.broken:
            raise RulesBroken(
                f"gold.{self.name} keeps its old version, since the new result breaks its rules: "
                f"{'; '.join(judgement.broken)}. Correct the inputs or the rules, then clear this task.",
                judgement.rules,
            )
        commit = written(self.spark, self._path, stamp)
        if self.base is not None and others_between(self.spark, self._path, self.base, commit.version):
            raise ConflictError(f"{self._path}: another load was published while rows were compared.")
        columns = {found.name: found.dataType.simpleString() for found in checked.schema.fields}
        return Published(commit, judgement.rules, columns)

    def _publish(self, rows: DataFrame, judgement: Judgement, run: RunInfo) -> Stamp:
        with ThreadPoolExecutor(max_workers=1) as pool:
            told = self.gold.quality.rules or judgement.broken
            recording = pool.submit(record, self.spark, self.lake, run, judgement) if told else None
            stamp = self.stamp
            if recording and self.base is not None:
                recording.result()  # a MERGE is stamped by the session's settings, which every write beside it takes
            if judgement.broken:
                pass
            elif self.base is None:
                self._put(rows)
            else:
                stamp = self._merge(rows, self.base, judgement.rows_read)
            if recording:
                recording.result()
        return stamp

    def _beside(self, rows: DataFrame) -> DataFrame | None:
        """The table's rows that stay as they are beside the new `rows`; None where none does."""
        if self.scope is None:
            return None
        table = self._table().where(F.expr(f"NOT coalesce({self.scope.sql()}, false)"))
        if self.gold.load == "merge" and not self.scope.by_key:
            table = table.alias("s").join(rows.alias("t"), F.expr(same_key(self.gold.keys)), "left_anti")
        return table

    def _table(self) -> DataFrame:
        reader = self.spark.read.format("delta")
        return (reader if self.base is None else reader.option("versionAsOf", self.base)).load(self._path)

    def _put(self, rows: DataFrame) -> None:
        writer = stamped(rows.write.format("delta").mode("overwrite"), self.stamp)
        if self.scope is None:
            writer.option("overwriteSchema", True).partitionBy(*self.gold.partition_by).save(self._path)
        else:
            writer.option("replaceWhere", self.scope.sql()).option("mergeSchema", True).save(self._path)

    def _merge(self, rows: DataFrame, base: int, compared: int | None) -> Stamp:
        stamp = replace(self.stamp, metadata={**self.stamp.metadata, BASE: base, COMPARED: compared})
        merge_rows(self.spark, self._path, self.gold, rows, self._table(), self.scope, stamp)
        return stamp

    @property
    def _path(self) -> str:
        return self.lake.gold(self.name)


def counts_of(commit: Commit) -> RowCounts:
    """What became of a gold table's rows in `commit`: those that were read are the query's, and those deleted."""
    if COMPARED not in commit.metadata:
        output = rows_put(commit.metrics)
        return RowCounts(read=output, inserted=output)
    merged = {kind: commit.metrics.get(metric, 0) for kind, metric in _MERGED.items()}
    counts = RowCounts(read=int(commit.metadata[COMPARED]) + merged["deleted"], **merged)
    return counts.model_copy(update={"unchanged": counts.unaccounted})
