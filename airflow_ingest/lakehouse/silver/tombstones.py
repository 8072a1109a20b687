"""Deletions are remembered: `ops/tombstones/<table>` has every deleted key with the sequence of its deletion.

They are written before the rows leave silver, so that an older change which comes late finds them, whatever dies in
between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.commits import Stamp, merge_from
from airflow_ingest.lakehouse.errors import ConflictError
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, commits_after, history
from airflow_ingest.lakehouse.model import Batch
from airflow_ingest.lakehouse.silver.rows import DELETION, INGESTED_AT, INGESTED_BY, SEQUENCE, same_key
from airflow_ingest.lakehouse.sql import column, literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import ensure

_SINCE = "__deleted_at_sequence"
_VIEW = "ingest_tombstones"


@dataclass(frozen=True)
class Tombstones:
    """The tombstones of one table as of `version`; -1 if it has none yet."""

    spark: SparkSession
    lake: Lake
    table: str
    keys: Sequence[str]
    version: int

    @classmethod
    def now(cls, spark: SparkSession, lake: Lake, table: str, keys: Sequence[str]) -> Tombstones:
        """The tombstones as they are."""
        newest = history(spark, tombstones_path(lake, table), 1)
        return cls(spark, lake, table, tuple(keys), newest[0].version if newest else -1)

    def overtaking(self, rows: DataFrame, batch: Batch | None = None) -> DataFrame:
        """Published `rows`, those dead that a deletion has overtaken; those of `batch` itself are not looked at."""
        if self.version < 0:
            return rows
        found = self.read() if batch is None else self.read().where(F.col(BATCH_ID) != F.lit(batch.id))
        since = found.select(*map(quote, self.keys), F.col(SEQUENCE).alias(_SINCE))
        alive = F.col(INGESTED_AT).isNotNull() & ~F.coalesce(F.col(_SINCE) > F.col(SEQUENCE), F.lit(False))
        deletion = F.col(INGESTED_AT).isNull()
        return (
            rows.join(since, list(self.keys), "left")
            .withColumn(INGESTED_BY, F.when(alive | deletion, F.col(INGESTED_BY)))
            .withColumn(INGESTED_AT, F.when(alive, F.col(INGESTED_AT)))
            .select(*map(quote, rows.columns))
        )

    def of(self, batch: Batch) -> DataFrame | None:
        """The tombstones that `batch` has set: keys and sequences."""
        if self.version < 0:
            return None
        return self.read().where(F.col(BATCH_ID) == F.lit(batch.id))

    def has(self, batch: Batch) -> bool:
        """Whether `batch` has set any: a first attempt may have died, or failed, after it did."""
        found = self.of(batch)
        return found is not None and not found.isEmpty()

    def bury(self, rows: DataFrame, stamp: Stamp, redo: Batch | None = None) -> Tombstones:
        """Remembers the deletions among `rows`, before they are published; the later one of a key stays.

        With `redo`, what that batch had set gives way. Returns the tombstones as they are then.
        """
        path = tombstones_path(self.lake, self.table)
        deletions = rows.alias("s").where(F.expr(DELETION))
        graves = deletions.select(
            *map(quote, self.keys), SEQUENCE, BATCH_ID, INGESTED_BY, F.current_timestamp().alias(INGESTED_AT)
        )
        ensure(self.spark, self.lake, path, graves)
        later = f"{column('s', SEQUENCE)} > {column('t', SEQUENCE)}"
        if redo is not None:
            other = f"{column('s', SEQUENCE)} <> {column('t', SEQUENCE)}"
            later = f"({later} OR ({column('t', BATCH_ID)} = {literal(redo.id)} AND {other}))"
        self._merge(graves, stamp, f"WHEN MATCHED AND {later} THEN UPDATE SET *", "WHEN NOT MATCHED THEN INSERT *")
        return Tombstones.now(self.spark, self.lake, self.table, self.keys)

    def unearth(self, keys: DataFrame, batch: Batch, stamp: Stamp) -> None:
        """Forgets the deletions of `keys` by `batch`: its source no longer has them."""
        self._merge(keys, stamp, f"WHEN MATCHED AND {column('t', BATCH_ID)} = {literal(batch.id)} THEN DELETE")

    def check(self) -> None:
        """Raises ConflictError if another writer has deleted since: rows published meanwhile may be overtaken."""
        since = commits_after(self.spark, tombstones_path(self.lake, self.table), self.version)
        if any(_buries(commit) for commit in since):
            raise ConflictError(f"{tombstones_path(self.lake, self.table)}: another load deleted keys meanwhile.")

    def read(self) -> DataFrame:
        """All of them."""
        reader = self.spark.read.format("delta").option("versionAsOf", self.version)
        return reader.load(tombstones_path(self.lake, self.table))

    def _merge(self, source: DataFrame, stamp: Stamp, *clauses: str) -> None:
        path = sql_table(tombstones_path(self.lake, self.table))
        into = f"MERGE INTO {path} AS t USING {_VIEW} AS s ON {same_key(self.keys)} "
        merge_from(self.spark, source, _VIEW, into + " ".join(clauses), stamp)


def _buries(commit: Commit) -> bool:
    """Whether there can be other tombstones after `commit`: not after maintenance, nor a load that repeats itself."""
    if commit.operation == "MERGE":
        return any(commit.metrics.get(name, 0) for name in ("numTargetRowsInserted", "numTargetRowsUpdated"))
    return commit.changes_rows and commit.operation not in ("CREATE TABLE", "DELETE")


def tombstones_path(lake: Lake, table: str) -> str:
    """Where the tombstones of `table` are."""
    return lake.ops(f"tombstones/{table}")
