"""Publishing a batch's accepted rows: MERGE on the keys, or the whole table at once."""

from __future__ import annotations

import time
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.commits import Stamp, stamped, stamping, written
from airflow_ingest.lakehouse.errors import ReconciliationError, SchemaMismatch
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit
from airflow_ingest.lakehouse.model import Batch, GateOutcome, LoadResult, RowCounts, RunInfo
from airflow_ingest.lakehouse.quality.gate import rule_version
from airflow_ingest.lakehouse.silver.judged import PUBLISHED, SEQUENCE, Judged, judge, judging
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import column, literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import change_feed, check_same_columns, ensure

STEP = "merge_silver"
_SOURCE_VIEW = "ingest_merge_source"


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
    silver = table.silver
    if silver is None:
        raise ValueError(f"tables.{name} has no `silver`")
    agreed = gate if gate and gate.batch.key == batch.key and gate.fingerprint == rule_version(table) else None
    stamp = _stamp(lake, batch, run)
    path = lake.silver(name)
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
        if silver.schema_ == "enforce" and not created:
            check_same_columns(path, spark.read.format("delta").load(path).schema, rows.schema)
        try:
            if silver.load == "overwrite":
                _overwrite(path, rows, silver, stamp)
            else:
                merge_rows(spark, path, rows, silver, stamp, agreed)
        except Exception as error:
            if any(name in str(error) for name in _TYPE_ERRORS):
                raise SchemaMismatch(
                    f"{path}: a column of the batch has another type than the table's. {brief(error)} "
                    "Nothing was written. Change the type under `silver.columns`, or load into a new table."
                ) from error
            raise
        commit = written(spark, path, stamp)
        counts = _counts(commit, silver, agreed)
        if counts.unaccounted > 0 and silver.load == "merge":
            counts = counts.model_copy(update=_left_alone(spark, path, rows, silver, counts.unaccounted))
    _reconcile(path, batch, counts, complete=agreed is not None)
    return LoadResult.of_batch(
        STEP,
        batch,
        version=commit.version,
        rows=counts,
        seconds=time.monotonic() - started,
    )


_TYPE_ERRORS = ("DELTA_FAILED_TO_MERGE_FIELDS", "DELTA_MERGE_INCOMPATIBLE", "DATATYPE_MISMATCH")


def published_rows(judged: Judged, run: RunInfo) -> DataFrame:
    """The accepted rows of `judged`, one per key, as silver holds them."""
    return judged.rows.where(F.expr(PUBLISHED)).select(
        *(F.col(quote(name)) for name in judged.columns),
        F.col(SEQUENCE),
        F.col(BATCH_ID),
        F.current_timestamp().alias("_ingested_at"),
        F.lit(run.run_id).alias("_ingested_by"),
    )


def _overwrite(path: str, rows: DataFrame, silver: Silver, stamp: Stamp) -> None:
    writer = stamped(rows.write.format("delta").mode("overwrite"), stamp)
    writer.option("overwriteSchema", silver.schema_ == "evolve").partitionBy(*silver.partition_by).save(path)


def merge_rows(
    spark: SparkSession, path: str, rows: DataFrame, silver: Silver, stamp: Stamp, gate: GateOutcome | None = None
) -> None:
    """MERGEs `rows` (see `published_rows`) into the table at `path` in one commit that carries `stamp`.

    A row goes in where its key is new, where its sequence is above the one there, or where it corrects its own batch.
    """
    rows.createOrReplaceTempView(_SOURCE_VIEW)
    on = " AND ".join([*_same_key(silver), *_pruning(gate)])
    newer = f"{column('s', SEQUENCE)} > {column('t', SEQUENCE)}"
    same_batch = f"{column('s', BATCH_ID)} = {column('t', BATCH_ID)}"
    other_row = f"{column('s', SEQUENCE)} <> {column('t', SEQUENCE)}"
    evolution = "WITH SCHEMA EVOLUTION " if silver.schema_ == "evolve" else ""
    try:
        with stamping(spark, stamp, _without_repartitioning(silver)):
            spark.sql(
                f"MERGE {evolution}INTO {sql_table(path)} AS t USING {_SOURCE_VIEW} AS s ON {on} "
                f"WHEN MATCHED AND ({newer} OR ({same_batch} AND {other_row})) THEN UPDATE SET * "
                "WHEN NOT MATCHED THEN INSERT *"
            ).collect()
    finally:
        spark.catalog.dropTempView(_SOURCE_VIEW)


def _without_repartitioning(silver: Silver) -> Mapping[str, str]:
    """Delta gathers a MERGE's rows by partition before it writes, and takes a dot in a name for a nested field."""
    dotted = any("." in name for name in silver.partition_by)
    return {"spark.databricks.delta.merge.repartitionBeforeWrite.enabled": "false"} if dotted else {}


def _same_key(silver: Silver) -> list[str]:
    return [f"{column('t', key)} = {column('s', key)}" for key in silver.keys]


def _pruning(gate: GateOutcome | None) -> list[str]:
    ranges = gate.partitions if gate else ()
    return [
        condition
        for found in ranges
        for condition in (
            f"{column('t', found.column)} >= {literal(found.low)}",
            f"{column('t', found.column)} <= {literal(found.high)}",
        )
    ]


def _counts(commit: Commit, silver: Silver, gate: GateOutcome | None) -> RowCounts:
    metrics = commit.metrics
    if silver.load == "overwrite":
        source, inserted, updated = metrics.get("numOutputRows", 0), metrics.get("numOutputRows", 0), 0
    else:
        source = metrics.get("numSourceRows", 0)
        inserted, updated = metrics.get("numTargetRowsInserted", 0), metrics.get("numTargetRowsUpdated", 0)
    if gate is None:
        return RowCounts(read=source, inserted=inserted, updated=updated)
    return gate.rows.model_copy(update={"inserted": inserted, "updated": updated})


def _left_alone(
    spark: SparkSession, path: str, rows: DataFrame, silver: Silver, settled_elsewhere: int
) -> Mapping[str, int]:
    """Splits the rows that the MERGE left alone: superseded by a newer row in the table, or already there."""
    same_key = F.expr(" AND ".join(_same_key(silver)))
    newer = F.expr(f"{column('t', SEQUENCE)} > {column('s', SEQUENCE)}")
    target = spark.read.format("delta").load(path).alias("t")
    joined = rows.alias("s").join(target, same_key & newer).agg(F.count(F.lit(1))).collect()
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


def _stamp(lake: Lake, batch: Batch, run: RunInfo) -> Stamp:
    return Stamp.now(
        f"{batch.table}/{batch.id}/silver",
        pipeline=lake.pipeline,
        layer="silver",
        table=batch.table,
        run=run.run_id,
        batch=batch.to_dict(),
    )
