"""Publishing a batch's accepted rows: MERGE on the keys, or the whole table at once."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.batches import set_state
from airflow_ingest.lakehouse.commits import Place, Stamp, stamped, stamping, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.errors import ReconciliationError, SchemaMismatch
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.model import Batch, GateOutcome, LoadResult, PartitionRange, RowCounts, RunInfo
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.lakehouse.quality.gate import rule_version
from airflow_ingest.lakehouse.silver.judged import SEQUENCE, judge, judging, published_rows, silver_of
from airflow_ingest.lakehouse.silver.retraction import Retraction, retraction
from airflow_ingest.lakehouse.silver.statement import SOURCE_VIEW, Merge, same_key
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import column
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
) -> LoadResult:
    """Publishes the accepted rows of `batch` into silver; doing it again changes nothing.

    With the `gate`'s outcome on the same batch and rules, the result has the whole account of the rows, and the
    MERGE reads only the partitions that the batch can touch. Raises SchemaMismatch before anything is written, and
    ReconciliationError if the account does not add up.
    """
    started = time.monotonic()
    silver = silver_of(table)
    agreed = gate if gate and gate.batch.key == batch.key and gate.fingerprint == rule_version(table) else None
    path = lake.silver(name)
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
        place = Place.of(batch, history(spark, path, 20))
        stamp = Stamp.now(
            f"{batch.table}/{batch.id}/silver",
            pipeline=lake.pipeline,
            layer="silver",
            table=batch.table,
            run=run.run_id,
            batch=batch.to_dict(),
            highest=place.highest,
            progress=progress.after(batch).to_dict(),
        )
        if silver.load == "overwrite" and place.older:
            return _superseded(spark, lake, batch, run, agreed, started)
        if silver.schema_ == "enforce" and not created:
            check_same_columns(path, spark.read.format("delta").load(path).schema, rows.schema)
        retracted = None
        try:
            if silver.load == "overwrite":
                _overwrite(path, rows, silver, stamp)
            else:
                retracted = None if place.first else retraction(spark, lake, table, batch, rows, progress, run)
                if retracted:
                    merge_rows(spark, path, retracted.rows, silver, stamp, redo=batch)
                else:
                    merge_rows(spark, path, rows, silver, stamp, ranges=agreed.partitions if agreed else ())
            commit = written(spark, path, stamp)
            counts = counts_of(commit.metrics, silver, agreed, retracted)
            if counts.unaccounted > 0 and silver.load == "merge":
                counts = counts.model_copy(update=left_alone(spark, path, rows, silver, counts.unaccounted))
        except Exception as error:
            if any(name in str(error) for name in _TYPE_ERRORS):
                raise SchemaMismatch(
                    f"{path}: a column of the batch has another type than the table's. {brief(error)} "
                    "Nothing was written. Change the type under `silver.columns`, or load into a new table."
                ) from error
            raise
        finally:
            if retracted:
                retracted.release()
    _reconcile(path, batch, counts, complete=agreed is not None)
    return LoadResult.of_batch(
        STEP,
        batch,
        version=commit.version,
        rows=counts,
        seconds=time.monotonic() - started,
    )


_TYPE_ERRORS = ("DELTA_FAILED_TO_MERGE_FIELDS", "DELTA_MERGE_INCOMPATIBLE", "DATATYPE_MISMATCH")


def _superseded(
    spark: SparkSession, lake: Lake, batch: Batch, run: RunInfo, gate: GateOutcome | None, started: float
) -> LoadResult:
    """A whole table that is older than the one published: it is settled, and nothing is written."""
    reason = "a newer load is published"
    set_state(spark, lake, batch, "superseded", reason, run.run_id)
    rows = gate.rows.model_copy(update={"superseded": gate.rows.unaccounted}) if gate else RowCounts()
    seconds = time.monotonic() - started
    return LoadResult.of_batch(STEP, batch, status="unchanged", reason=reason, rows=rows, seconds=seconds)


def _overwrite(path: str, rows: DataFrame, silver: Silver, stamp: Stamp) -> None:
    writer = stamped(rows.write.format("delta").mode("overwrite"), stamp)
    writer.option("overwriteSchema", silver.schema_ == "evolve").partitionBy(*silver.partition_by).save(path)


def merge_rows(
    spark: SparkSession,
    path: str,
    rows: DataFrame,
    silver: Silver,
    stamp: Stamp,
    *,
    ranges: Sequence[PartitionRange] = (),
    redo: Batch | None = None,
) -> None:
    """MERGEs `rows` (see `published_rows`) into the table at `path` in one commit that carries `stamp`.

    What `ranges` and `redo` change is told at `Merge.of`.
    """
    rows.createOrReplaceTempView(SOURCE_VIEW)
    try:
        with stamping(spark, stamp, _without_repartitioning(silver)):
            spark.sql(Merge.of(silver, ranges, redo).sql(path)).collect()
    finally:
        spark.catalog.dropTempView(SOURCE_VIEW)


def _without_repartitioning(silver: Silver) -> Mapping[str, str]:
    """Delta gathers a MERGE's rows by partition before it writes, and takes a dot in a name for a nested field."""
    dotted = any("." in name for name in silver.partition_by)
    return {"spark.databricks.delta.merge.repartitionBeforeWrite.enabled": "false"} if dotted else {}


def counts_of(
    metrics: Mapping[str, int], silver: Silver, gate: GateOutcome | None, retracted: Retraction | None
) -> RowCounts:
    """The account of a load from what Delta counted (or would count: `Merge.metrics`), and what the gate did."""
    if silver.load == "overwrite":
        counts = RowCounts(read=metrics.get("numOutputRows", 0), inserted=metrics.get("numOutputRows", 0))
    else:
        counts = RowCounts(
            read=metrics.get("numSourceRows", 0),
            inserted=metrics.get("numTargetRowsInserted", 0),
            updated=metrics.get("numTargetRowsUpdated", 0),
        )
    if retracted:
        counts = counts.model_copy(
            update={
                "read": counts.read - retracted.lost + retracted.restated,
                "updated": counts.updated - retracted.others,
                "retracted": retracted.taken_back,
            }
        )
    if gate is None:
        return counts
    return gate.rows.model_copy(update=counts.model_dump(include={"inserted", "updated", "retracted"}))


def left_alone(
    spark: SparkSession, path: str, rows: DataFrame, silver: Silver, settled_elsewhere: int
) -> Mapping[str, int]:
    """Splits the rows that the MERGE left alone: superseded by a newer row in the table, or already there."""
    newer = F.expr(f"{column('t', SEQUENCE)} > {column('s', SEQUENCE)}")
    target = spark.read.format("delta").load(path).alias("t")
    joined = rows.alias("s").join(target, F.expr(same_key(silver)) & newer).agg(F.count(F.lit(1))).collect()
    superseded = int(joined[0][0])
    return {"superseded": superseded, "unchanged": settled_elsewhere - superseded}


def _reconcile(path: str, batch: Batch, counts: RowCounts, *, complete: bool) -> None:
    if counts.unaccounted != 0 or min(counts.model_dump().values()) < 0:
        told = "the gate's" if complete else "the merge's"
        raise ReconciliationError(
            f"{path}, batch {batch.id}: by {told} account {counts.read} rows were read, but "
            f"{counts.read - counts.unaccounted} are accounted for ({counts.model_dump()}). "
            "Did bronze change between the gate and the merge? Clear the run to load the batch again."
        )
