"""Putting dead letters through today's configuration again, optionally with a fix."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.batches import batch_states
from airflow_ingest.lakehouse.bronze import AUDIT_COLUMNS, BATCH_ORDER, RECORD_HASH
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.commits import Stamp, highest_of, merge_from, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.dlq import STATUS_OPEN, STATUS_REPLAYED, has_fixes, parsed
from airflow_ingest.lakehouse.errors import ConflictError, LakehouseError, SchemaMismatch
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history, own_history
from airflow_ingest.lakehouse.masking import hidden, masks_of
from airflow_ingest.lakehouse.model import ReplayResult, RunInfo
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.lakehouse.silver.changes import Changes
from airflow_ingest.lakehouse.silver.judged import (
    ERRORS,
    SOURCE,
    Judged,
    judge_rows,
    judging,
    published_rows,
    silver_of,
)
from airflow_ingest.lakehouse.silver.load import merge_rows, others_between
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.retraction import derived_rows
from airflow_ingest.lakehouse.silver.tombstones import Tombstones, tombstones_path
from airflow_ingest.lakehouse.silver.working_out import merge_outcome, shaped, worked_out
from airflow_ingest.lakehouse.sources.base import SOURCE_FILE
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import ensure
from airflow_ingest.lakehouse.widening import widening

_LETTER = "__letter"
_VERDICTS = "ingest_replay_verdicts"


@replanned
def replay_dlq(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    run: RunInfo,
    *,
    rule: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
    dry_run: bool = False,
    fix: Mapping[str, str] | None = None,
) -> ReplayResult:
    """Judges the open dead letters of a table anew and merges those that pass, as if they had come in their time.

    `rule` and `since` choose letters, `limit` bounds them (oldest first), `fix` gives SQL expressions over the payload
    by column. Silver is merged first, in its own commit, and the letters are marked after it: repeating either is
    harmless. Letters of a batch that silver has still to take stay as they are. Raises SchemaMismatch for a fix of an
    unknown column.
    """
    started = time.monotonic()
    _check_replayable(name, table)
    newest = history(spark, lake.dlq(name), 1)
    if not newest:
        return ReplayResult(table=name, dry_run=dry_run, seconds=time.monotonic() - started)
    letters = _open_letters(spark, lake, name, newest[0].version, rule, since, limit)
    lookups = Lookups.of(spark, lake, table)
    with judging(spark):
        judged = judge_rows(_as_bronze(spark, lake, name, table, letters, fix or {}), table, lookups, carry=(_LETTER,))
        judged = replace(judged, rows=checkpointed(judged.rows))  # they are counted, merged and marked
        result = ReplayResult(table=name, dry_run=dry_run, **_tally(judged))
        if result.replayed and not dry_run:
            with widening(spark, lambda: _shape(table, judged, run), lake.silver(name), tombstones_path(lake, name)):
                version = _merge(spark, lake, name, table, run, judged, lookups)
            result = result.model_copy(update={"version": version})
        if result.tried and not dry_run:
            _mark(spark, lake, name, run, letters, judged, fixed=bool(fix))
    return result.model_copy(update={"seconds": time.monotonic() - started})


def _shape(table: Table, judged: Judged, run: RunInfo) -> StructType:
    return shaped(published_rows(judged, run), silver_of(table)).schema


def _check_replayable(name: str, table: Table) -> None:
    silver = silver_of(table)
    if not silver.by_key:
        raise LakehouseError(
            f"tables.{name} is loaded by `load: {silver.load}`, so a replayed row cannot find its place. Clear the run "
            "instead, once the source or the configuration is mended."
        )


def _open_letters(
    spark: SparkSession,
    lake: Lake,
    name: str,
    version: int,
    rule: str | None,
    since: datetime | None,
    limit: int | None,
) -> DataFrame:
    letters = spark.read.format("delta").option("versionAsOf", version).load(lake.dlq(name))
    letters = letters.where(F.col("status") == F.lit(STATUS_OPEN))
    states = batch_states(spark, lake, name)
    if behind := [batch.id for batch in progress_of(spark, lake, name).behind]:
        letters = letters.where(~F.col("_batch_id").isin(behind))
    if held := [key for key, state in states.items() if state in ("held", "discarded")]:
        letters = letters.where(
            ~F.struct("_batch_id", "generation").isin([F.struct(F.lit(b), F.lit(g)) for b, g in held])
        )
    if rule is not None:
        letters = letters.where(F.exists("reasons", lambda reason: reason["rule"] == F.lit(rule)))
    if since is not None:
        letters = letters.where(F.col("rejected_at") >= F.lit(since))
    return letters if limit is None else letters.orderBy("batch_order", "id").limit(limit)


def _as_bronze(
    spark: SparkSession, lake: Lake, name: str, table: Table, letters: DataFrame, fix: Mapping[str, str]
) -> DataFrame:
    bronze = spark.read.format("delta").load(lake.bronze(name)).schema
    payload = [field for field in bronze.fields if field.name not in AUDIT_COLUMNS]
    known = [field.name for field in payload]
    if unknown := [column for column in fix if column not in known]:
        raise SchemaMismatch(
            f"tables.{name}: the fix names columns that its source has not: {', '.join(unknown)}. It has: "
            f"{', '.join(known)}. Nothing was changed."
        )
    rows = letters.select(
        parsed("payload", payload).alias("p"),
        F.col("id").alias(_LETTER),
        "_batch_id",
        F.col("source_file").alias(SOURCE_FILE),
        F.col("record_hash").alias(RECORD_HASH),
        F.col("batch_order").alias(BATCH_ORDER),
    ).select("p.*", _LETTER, "_batch_id", SOURCE_FILE, RECORD_HASH, BATCH_ORDER)
    if not fix:
        return rows
    masks = {column: how for column, how in masks_of(table).items() if column in {name.lower() for name in fix}}
    return hidden(rows.withColumns({column: F.expr(sql) for column, sql in fix.items()}), masks)


def _tally(judged: Judged) -> dict[str, object]:
    failed = F.size(ERRORS) > 0
    totals = judged.rows.agg(F.count(F.lit(1)), F.count_if(failed)).collect()[0]
    tried, rejected = int(totals[0]), int(totals[1])
    reasons: dict[str, int] = {}
    if rejected:
        by_rule = judged.rows.where(failed).select(
            F.explode(F.array_distinct(F.transform(ERRORS, lambda e: e["rule"])))
        )
        reasons = {row[0]: int(row[1]) for row in by_rule.groupBy("col").count().collect()}
    return {"tried": tried, "rejected": rejected, "replayed": tried - rejected, "reasons": reasons}


def _merge(
    spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo, judged: Judged, lookups: Lookups
) -> int:
    silver, path = silver_of(table), lake.silver(name)
    rows = published_rows(judged, run)
    if silver.worked_out:
        return _keep(spark, lake, name, table, run, judged, rows, lookups)
    ensure(spark, lake, path, rows, partition_by=silver.partition_by)
    stamp = Stamp.now(f"{name}/replay", pipeline=lake.pipeline, layer="silver", table=name, run=run.run_id)
    if not silver.deleting:
        merge_rows(spark, path, rows, silver, stamp)
        return written(spark, path, stamp).version
    tombstones = Tombstones.now(spark, lake, name, silver.keys).bury(rows, _for_tombstones(stamp))
    merge_rows(spark, path, tombstones.overtaking(rows), silver, stamp)
    version = written(spark, path, stamp).version
    tombstones.check()
    return version


def _keep(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    run: RunInfo,
    judged: Judged,
    rows: DataFrame,
    lookups: Lookups,
) -> int:
    """Replayed rows are changes among those that bronze holds."""
    silver, path = silver_of(table), lake.silver(name)
    as_silver = shaped(rows, silver)
    ensure(spark, lake, path, as_silver, partition_by=silver.partition_by)
    before = history(spark, path, 1)[0].version
    tombstones = Tombstones.now(spark, lake, name, silver.keys) if silver.deleting else None
    progress = progress_of(spark, lake, name)
    beside = judged if silver.load == "merge" else None
    found = worked_out(
        Changes(
            silver,
            judged.columns,
            rows,
            spark.read.format("delta").option("versionAsOf", before).load(path),
            tombstones,
            lambda: derived_rows(spark, lake, table, name, progress, run, lookups, beside=beside),
        )
    )
    stamp = Stamp.now(f"{name}/replay", pipeline=lake.pipeline, layer="silver", table=name, run=run.run_id)
    if tombstones:
        tombstones = tombstones.bury(found.deletions, _for_tombstones(stamp))
    merge_outcome(spark, path, found, silver, judged.columns, stamp)
    version = written(spark, path, stamp).version
    if others_between(spark, path, before, version):
        raise ConflictError(f"{path}: another load was published while its rows were worked out.")
    if tombstones:
        tombstones.check()
    return version


def _for_tombstones(stamp: Stamp) -> Stamp:
    told = {**stamp.metadata, "layer": "ops"}
    return replace(stamp, application=f"{stamp.application}/tombstones", metadata=told)


def _mark(
    spark: SparkSession, lake: Lake, name: str, run: RunInfo, letters: DataFrame, judged: Judged, *, fixed: bool
) -> None:
    """Write down what became of each of the `letters`: one of which nothing is left has nothing against it."""
    payload = F.to_json(SOURCE) if fixed else F.lit(None).cast("string")
    errors = F.array_distinct(F.flatten(F.collect_list(ERRORS))).alias(ERRORS)
    found = judged.rows.groupBy(_LETTER).agg(errors, F.first(payload).alias("fixed"))
    none = F.array().cast(judged.rows.schema[ERRORS].dataType)
    verdicts = (
        letters.select(F.col("id").alias(_LETTER))
        .join(found, _LETTER, "left")
        .withColumns({ERRORS: F.coalesce(ERRORS, none), "run": F.lit(run.run_id)})
    )
    path = lake.dlq(name)
    commits = own_history(spark, path)
    stamp = Stamp.now(
        f"{name}/replay/dlq",
        pipeline=lake.pipeline,
        layer="dlq",
        table=name,
        run=run.run_id,
        highest=highest_of(commits),
        fixes=fixed or has_fixes(commits),
    )
    statement = (
        f"MERGE INTO {sql_table(path)} AS t USING {_VERDICTS} AS s ON t.id = s.{_LETTER} "
        f"WHEN MATCHED AND size(s.{ERRORS}) = 0 THEN UPDATE SET status = '{STATUS_REPLAYED}', "
        "attempts = t.attempts + 1, replayed_by = s.run, replayed_at = current_timestamp(), fixed = s.fixed "
        f"WHEN MATCHED THEN UPDATE SET attempts = t.attempts + 1, reasons = s.{ERRORS}"
    )
    merge_from(spark, verdicts, _VERDICTS, statement, stamp)
