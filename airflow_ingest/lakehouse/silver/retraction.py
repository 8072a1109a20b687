"""What a re-run takes back: keys that an earlier generation of its batch won, and that this one does not.

Silver is a function of bronze: per key, the row with the greatest sequence among the batches that it has taken. Where
the newest row came from this batch, and the batch no longer has one as new, the key is derived again from all of them.
Only here may the cost exceed the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.bronze import BATCH_ID, read_bronze
from airflow_ingest.lakehouse.dlq import with_fixes
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Batch, RunInfo
from airflow_ingest.lakehouse.progress import Progress
from airflow_ingest.lakehouse.silver.judged import SEQUENCE, judge_rows, published_rows, silver_of
from airflow_ingest.lakehouse.sql import column, quote

_RESTATED = "__restated"


@dataclass(frozen=True)
class Retraction:
    """`rows` are what to MERGE: the batch's own, and for the keys lost what all batches say of them now.

    A row without a `_batch_id` deletes its key. Of the `lost` keys the batch itself still has a row for `restated`;
    `own` of these are the newest again, and for `others` keys another batch's row takes the place.
    """

    rows: DataFrame
    lost: int
    restated: int
    own: int
    others: int
    cached: tuple[DataFrame, ...]

    @property
    def taken_back(self) -> int:
        """Rows of silver that are the batch's no more."""
        return self.lost - self.own

    def release(self) -> None:
        """Free what is cached."""
        for frame in self.cached:
            frame.unpersist()


def retraction(
    spark: SparkSession,
    lake: Lake,
    table: Table,
    batch: Batch,
    rows: DataFrame,
    progress: Progress,
    run: RunInfo,
    planned: DataFrame | None = None,
) -> Retraction | None:
    """What `batch`, whose published rows are now `rows`, has to take back from silver; None if nothing.

    `planned` are the batch's rows as bronze would hold them, where it does not hold them yet.
    """
    keys = list(silver_of(table).keys)
    lost = _lost(spark.read.format("delta").load(lake.silver(batch.table)), rows, keys, batch).persist()
    found = lost.agg(F.count(F.lit(1)), F.count_if(F.col(_RESTATED))).collect()[0]
    if not found[0]:
        lost.unpersist()
        return None
    lost_keys = lost.select(*map(quote, keys))
    derived = _derived(spark, lake, table, batch, progress, run, planned).join(lost_keys, keys, "left_semi").persist()
    won = derived.agg(F.count(F.lit(1)), F.count_if(F.col(BATCH_ID) == F.lit(batch.id))).collect()[0]
    gone = lost_keys.join(derived, keys, "left_anti")
    return Retraction(
        rows=rows.join(lost_keys, keys, "left_anti").unionByName(derived).unionByName(gone, allowMissingColumns=True),
        lost=int(found[0]),
        restated=int(found[1]),
        own=int(won[1]),
        others=int(won[0]) - int(won[1]),
        cached=(lost, derived),
    )


def _lost(silver: DataFrame, rows: DataFrame, keys: list[str], batch: Batch) -> DataFrame:
    same = F.expr(" AND ".join(f"{column('t', key)} = {column('s', key)}" for key in keys))
    theirs, ours = F.col(column("t", SEQUENCE)), F.col(column("s", SEQUENCE))
    return (
        silver.where(F.col(BATCH_ID) == F.lit(batch.id))
        .alias("t")
        .join(rows.alias("s"), same, "left")
        .where(ours.isNull() | (ours < theirs))
        .select(*(F.col(column("t", key)).alias(key) for key in keys), ours.isNotNull().alias(_RESTATED))
    )


def _derived(
    spark: SparkSession,
    lake: Lake,
    table: Table,
    batch: Batch,
    progress: Progress,
    run: RunInfo,
    planned: DataFrame | None,
) -> DataFrame:
    """Every key's newest row among the batches that silver has taken, this one among them."""
    left_out = [other.id for other in progress.behind if other.id != batch.id]
    bronze = read_bronze(spark, lake, batch.table, progress.bronze)
    if left_out:
        bronze = bronze.where(~F.col(BATCH_ID).isin(left_out))
    if planned is not None:
        others = bronze.where(F.col(BATCH_ID) != F.lit(batch.id))
        bronze = others.unionByName(planned, allowMissingColumns=True)
    return published_rows(judge_rows(with_fixes(spark, lake, batch.table, bronze), table), run)
