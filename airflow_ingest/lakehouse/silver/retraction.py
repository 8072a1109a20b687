"""What a re-run takes back: keys that an earlier generation of its batch won, and that this one does not.

Silver is a function of bronze: per key, the row that wins (the newest; with `load: insert` the first) among the batches
that it has taken. Where the winning row or deletion came from this batch, and the batch no longer has one as good, the
key is derived again from all of them. Only here may the cost exceed the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.model import Batch, RunInfo
from airflow_ingest.lakehouse.progress import Progress
from airflow_ingest.lakehouse.silver.account import Retracted
from airflow_ingest.lakehouse.silver.derivation import Derivation
from airflow_ingest.lakehouse.silver.judged import silver_of
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.rows import ALIVE, DEAD, DELETION, INGESTED_AT, SEQUENCE, same_key, wins
from airflow_ingest.lakehouse.silver.tombstones import Tombstones
from airflow_ingest.lakehouse.sql import column, literal, quote

_RESTATED, _MINE, _THERE = "__restated", "__mine", "__there"


@dataclass(frozen=True)
class Retraction:
    """The keys that a batch has `lost`, and what all batches say of them now (`derived`)."""

    keys: tuple[str, ...]
    lost: DataFrame
    derived: DataFrame
    account: Retracted

    def beside(self, rows: DataFrame) -> DataFrame:
        """What to MERGE: the batch's own `rows`, and for the lost keys what is derived; a key that is gone has no
        `_batch_id`."""
        lost = self.lost.select(*map(quote, self.keys))
        gone = lost.join(self.derived, list(self.keys), "left_anti")
        own = rows.join(lost, list(self.keys), "left_anti")
        return own.unionByName(self.derived).unionByName(gone, allowMissingColumns=True)

    @property
    def undeleted(self) -> DataFrame:
        """The lost keys whose newest row is no deletion."""
        deleted = self.derived.where(F.col(INGESTED_AT).isNull())
        return self.lost.select(*map(quote, self.keys)).join(deleted, list(self.keys), "left_anti")


def retraction(
    spark: SparkSession,
    lake: Lake,
    table: Table,
    batch: Batch,
    rows: DataFrame,
    progress: Progress,
    run: RunInfo,
    lookups: Lookups,
    *,
    tombstones: Tombstones | None = None,
    planned: DataFrame | None = None,
) -> Retraction | None:
    """What `batch`, whose published rows are now `rows`, has to take back from silver; None if nothing.

    `tombstones` are those of a table that has deletions. `planned` are the batch's rows as bronze would hold them,
    where it does not hold them yet.
    """
    keys, path = silver_of(table).keys, lake.silver(batch.table)
    # one version, though it is read twice
    published = spark.read.format("delta").option("versionAsOf", history(spark, path, 1)[0].version).load(path)
    lost = checkpointed(_lost(published, rows, silver_of(table), batch, tombstones))
    found = lost.agg(F.count(F.lit(1)), F.count_if(F.col(_RESTATED)), F.count_if(F.col(_MINE))).collect()[0]
    if not found[0]:
        return None
    derived = Derivation(spark, lake, table, batch.table, progress, run, lookups, batch, planned).of(lost)
    derived = checkpointed(derived)
    account = Retracted(lost=found[0], restated=found[1], mine=found[2], **_won(derived, lost, keys, batch))
    return Retraction(tuple(keys), lost, derived, account)


def _lost(
    published: DataFrame, rows: DataFrame, silver: Silver, batch: Batch, tombstones: Tombstones | None
) -> DataFrame:
    """The keys whose row or deletion of `batch` is no more: has it a row for them still, and has silver its row or
    anybody's."""
    keys = silver.keys
    names = list(map(quote, keys))
    live = rows.alias("s").where(f"NOT {DEAD}")
    lost = _superior(published.where(F.col(BATCH_ID) == F.lit(batch.id)), live, silver).withColumns(
        {_MINE: F.lit(True), _THERE: F.lit(True)}
    )
    graves = tombstones.of(batch) if tombstones else None
    if graves is not None:
        here = published.select(*names, F.lit(True).alias(_THERE))
        deletions = rows.alias("s").where(DELETION)
        forgotten = _superior(graves, deletions, silver).withColumn(_MINE, F.lit(False)).join(here, keys, "left")
        lost = (
            lost.unionByName(forgotten)
            .groupBy(*names)
            .agg(F.bool_or(_MINE).alias(_MINE), F.coalesce(F.bool_or(_THERE), F.lit(False)).alias(_THERE))
        )
    restated = rows.select(*names).distinct().withColumn(_RESTATED, F.lit(True))
    return lost.join(restated, keys, "left").withColumn(_RESTATED, F.coalesce(_RESTATED, F.lit(False)))


def _superior(theirs: DataFrame, ours: DataFrame, silver: Silver) -> DataFrame:
    """The keys of `theirs` for which `ours` has nothing as good."""
    nothing = F.col(column("s", SEQUENCE)).isNull() | F.expr(wins(silver, "t", "s"))
    joined = theirs.alias("t").join(ours.alias("s"), F.expr(same_key(silver.keys)), "left").where(nothing)
    return joined.select(*(F.col(column("t", key)).alias(key) for key in silver.keys))


def _won(derived: DataFrame, lost: DataFrame, keys: list[str], batch: Batch) -> dict[str, int]:
    """Whose rows take the lost keys, as `Retracted` counts them."""
    own, there = f"{column('s', BATCH_ID)} = {literal(batch.id)}", column("t", _THERE)
    conditions = {
        "own": f"{own} AND {ALIVE} AND {column('t', _MINE)}",
        "inserts": f"NOT {own} AND {ALIVE} AND NOT {there}",
        "updates": f"NOT {own} AND {ALIVE} AND {column('t', _MINE)}",
        "deletes": f"NOT {own} AND {DELETION} AND {column('t', _MINE)}",
        "gone": f"{column('s', BATCH_ID)} IS NULL AND {column('t', _MINE)}",
    }
    joined = lost.alias("t").join(derived.alias("s"), keys, "left")
    counts = [F.count_if(F.coalesce(F.expr(sql), F.lit(False))).alias(name) for name, sql in conditions.items()]
    return {name: int(value) for name, value in joined.agg(*counts).collect()[0].asDict().items()}
