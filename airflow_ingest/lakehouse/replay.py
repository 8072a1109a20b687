"""Putting dead letters through today's configuration again, optionally with a fix."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.batches import batch_states
from airflow_ingest.lakehouse.bronze import AUDIT_COLUMNS, BATCH_ID, BATCH_ORDER, RECORD_HASH
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.commits import merge_from, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.dlq import STATUS_OPEN, STATUS_REPLAYED, letters_stamp, parsed
from airflow_ingest.lakehouse.errors import LakehouseError, ReconciliationError, SchemaMismatch
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.letters import Letters, ids_of
from airflow_ingest.lakehouse.log import Commit, history, own_history
from airflow_ingest.lakehouse.masking import hidden, masks_of
from airflow_ingest.lakehouse.model import ReplayResult, RunInfo
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.lakehouse.silver.identity import check_identity
from airflow_ingest.lakehouse.silver.judged import ERRORS, SOURCE, Judged, judge_rows, judging, require_rules, silver_of
from airflow_ingest.lakehouse.silver.load import others_between
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.replayed import Replayed
from airflow_ingest.lakehouse.sources.base import SOURCE_FILE
from airflow_ingest.lakehouse.sql import EXACT_JSON
from airflow_ingest.lakehouse.sql import table as sql_table

BATCH_SIZE = 10_000
_LETTER = "__letter"
_VERDICTS = "ingest_replay_verdicts"


def replay_dlq(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    run: RunInfo,
    *,
    rule: str | None = None,
    since: datetime | None = None,
    ids: Collection[str] = (),
    limit: int | None = None,
    batch_size: int = BATCH_SIZE,
    dry_run: bool = False,
    fix: Mapping[str, str] | None = None,
    progress: Callable[[ReplayResult], None] | None = None,
) -> ReplayResult:
    """Judges the open dead letters of a table anew and merges those that pass, as if they had come in their time.

    - `rule`, `since` and `ids` (or beginnings of ids) choose letters, `limit` bounds them, the oldest first
    - `fix` gives SQL expressions over the payload by column
    - `batch_size` letters go at a time, and `progress` is told what became of all so far

    Of each part silver is merged first, in its own commit, and the letters are marked after it: repeating either is
    harmless. A letter that `run` has tried is not tried again by it, so a replay that died or was stopped goes on where
    it was when the same run replays again. Letters of a batch that silver has still to take, or that is held, stay as
    they are. Raises SchemaMismatch for a fix of an unknown column and for a table that was loaded by other keys,
    LakehouseError for an unknown id and for a table whose rows have no keys.
    """
    started = time.monotonic()
    check_replayable(name, table)
    total = ReplayResult(table=name, dry_run=dry_run)
    if history(spark, lake.dlq(name), 1):
        check_identity(lake.silver(name), silver_of(table), own_history(spark, lake.silver(name)))
        chosen = Letters(rule, since, ids_of(spark, lake, name, ids))
        behind = tuple(batch.id for batch in progress_of(spark, lake, name).behind)
        states = batch_states(spark, lake, name)
        held = tuple(key for key, state in states.items() if state in ("held", "discarded"))
        part = _Part(table, run, chosen, behind, held, fix or {}, dry_run)
        total = total.model_copy(update=_waiting(spark, lake, name, part))
        goal = total.open if limit is None else min(limit, total.open)
        while total.tried < goal:
            skipped = total.tried if dry_run else 0  # a dry run marks none
            found = _replay_part(spark, lake, name, part, skipped, min(batch_size, goal - total.tried))
            if not found.tried:  # none are left: somebody else closed them meanwhile
                break
            total = total.plus(found)
            if progress is not None:
                progress(total)
    return total.model_copy(update={"seconds": time.monotonic() - started})


def check_replayable(name: str, table: Table) -> None:
    """Raises LakehouseError if a replayed row of the table could not find its place."""
    if table.silver is None:
        raise LakehouseError(f"tables.{name} stops at bronze, which holds all its rows: there is nothing to replay.")
    if not table.silver.by_key:
        raise LakehouseError(
            f"tables.{name} is loaded by `load: {table.silver.load}`, so a replayed row cannot find its place. Clear "
            "the run instead, once the source or the configuration is mended."
        )


@dataclass(frozen=True)
class _Part:
    """What every part of a replay does: by which `table`, for which run, with which of the letters."""

    table: Table
    run: RunInfo
    chosen: Letters
    behind: tuple[str, ...]
    held: tuple[tuple[str, int], ...]
    fix: Mapping[str, str]
    dry_run: bool

    def letters(self, rows: DataFrame) -> DataFrame:
        """Those of the DLQ's `rows` that are to be tried."""
        chosen = self.chosen.among(rows.where(F.col("status") == F.lit(STATUS_OPEN)))
        return chosen.where(~F.col("tried_by").eqNullSafe(F.lit(self.run.run_id)))

    def waits(self) -> Column:
        """Whether a letter's batch is one that silver has still to take, or will never take."""
        held = [F.struct(F.lit(batch), F.lit(generation)) for batch, generation in self.held]
        return F.col(BATCH_ID).isin(*self.behind) | F.struct(BATCH_ID, "generation").isin(*held)


@replanned
def _replay_part(spark: SparkSession, lake: Lake, name: str, part: _Part, skipped: int, size: int) -> ReplayResult:
    """Tries the oldest `size` letters that have not been tried, but for the `skipped` oldest of all."""
    seen = history(spark, lake.dlq(name), 1)[0].version
    rows = spark.read.format("delta").option("versionAsOf", seen).load(lake.dlq(name))
    letters = part.letters(rows).where(~part.waits()).orderBy("batch_order", "id").offset(skipped).limit(size)
    letters = checkpointed(letters)  # they are judged and marked
    lookups = Lookups.of(spark, lake, part.table)
    with judging(spark):
        judged = judge_rows(_as_bronze(spark, lake, name, part, letters), part.table, lookups, carry=(_LETTER,))
        require_rules(f"tables.{name}", part.table, judged)
        judged = replace(judged, rows=checkpointed(judged.rows))  # they are counted, merged and marked
        verdicts = _verdicts(letters, judged, fixed=bool(part.fix))
        result = ReplayResult(table=name, dry_run=part.dry_run, **_tally(verdicts))
        if result.replayed and not part.dry_run:
            version = Replayed(spark, lake, name, part.table, part.run, judged, lookups).merge()
            result = result.model_copy(update={"version": version})
        if result.tried and not part.dry_run:
            marked = _mark(spark, lake, name, part.run, verdicts, fixed=bool(part.fix))
            _reconcile(spark, lake.dlq(name), result, seen, marked)
    return result


def _reconcile(spark: SparkSession, letters: str, found: ReplayResult, seen: int, marked: Commit) -> None:
    """Raises ReconciliationError if not every letter that was tried is marked, unless others have closed some."""
    count = marked.metrics.get("numTargetRowsUpdated", 0)
    if count != found.tried and not others_between(spark, letters, seen, marked.version):
        raise ReconciliationError(
            f"{letters}: {found.tried} dead letters were tried ({found.replayed} replayed, {found.rejected} rejected "
            f"again), but {count} are marked. Silver has what was replayed; run the same replay again to mark the rest."
        )


def _waiting(spark: SparkSession, lake: Lake, name: str, part: _Part) -> dict[str, int]:
    """How many of the chosen letters can be tried, and how many of them belong to batches that silver lacks."""
    letters = part.letters(spark.read.format("delta").load(lake.dlq(name)))
    counted = letters.agg(F.count(F.lit(1)), F.count_if(part.waits())).collect()[0]
    return {"open": int(counted[0]) - int(counted[1]), "waiting": int(counted[1])}


def _as_bronze(spark: SparkSession, lake: Lake, name: str, part: _Part, letters: DataFrame) -> DataFrame:
    bronze = spark.read.format("delta").load(lake.bronze(name)).schema
    payload = [field for field in bronze.fields if field.name not in AUDIT_COLUMNS]
    known = [field.name for field in payload]
    if unknown := [column for column in part.fix if column not in known]:
        raise SchemaMismatch(
            f"tables.{name}: the fix names columns that its source has not: {', '.join(unknown)}. It has: "
            f"{', '.join(known)}. Nothing was changed."
        )
    rows = letters.select(
        parsed("payload", payload).alias("p"),
        F.col("id").alias(_LETTER),
        BATCH_ID,
        F.col("source_file").alias(SOURCE_FILE),
        F.col("record_hash").alias(RECORD_HASH),
        F.col("batch_order").alias(BATCH_ORDER),
    ).select("p.*", _LETTER, BATCH_ID, SOURCE_FILE, RECORD_HASH, BATCH_ORDER)
    if not part.fix:
        return rows
    named = {column.lower() for column in part.fix}
    masks = {column: how for column, how in masks_of(part.table).items() if column in named}
    return hidden(rows.withColumns({column: F.expr(sql) for column, sql in part.fix.items()}), masks)


def _verdicts(letters: DataFrame, judged: Judged, *, fixed: bool) -> DataFrame:
    """What became of each of the `letters`: one of which nothing is left has nothing against it."""
    payload = F.to_json(SOURCE, EXACT_JSON) if fixed else F.lit(None).cast("string")
    errors = F.array_distinct(F.flatten(F.collect_list(ERRORS))).alias(ERRORS)
    found = judged.rows.groupBy(_LETTER).agg(errors, F.first(payload).alias("fixed"))
    none = F.array().cast(judged.rows.schema[ERRORS].dataType)
    verdicts = letters.select(F.col("id").alias(_LETTER)).join(found, _LETTER, "left")
    return checkpointed(verdicts.withColumn(ERRORS, F.coalesce(ERRORS, none)))  # they are counted and merged


def _tally(verdicts: DataFrame) -> dict[str, object]:
    failed = F.size(ERRORS) > 0
    totals = verdicts.agg(F.count(F.lit(1)), F.count_if(failed)).collect()[0]
    tried, rejected = int(totals[0]), int(totals[1])
    reasons: dict[str, int] = {}
    if rejected:
        rules = F.explode(F.array_distinct(F.transform(ERRORS, lambda e: e["rule"])))
        by_rule = verdicts.where(failed).select(rules)
        reasons = {row[0]: int(row[1]) for row in by_rule.groupBy("col").count().collect()}
    return {"tried": tried, "rejected": rejected, "replayed": tried - rejected, "reasons": reasons}


def _mark(spark: SparkSession, lake: Lake, name: str, run: RunInfo, verdicts: DataFrame, *, fixed: bool) -> Commit:
    """Writes down what became of the letters, in one commit."""
    stamp = letters_stamp(spark, lake, name, run, "replay", fixes=fixed)
    tried, still = "attempts = t.attempts + 1, tried_by = s.run", f"t.status = '{STATUS_OPEN}'"
    statement = (
        f"MERGE INTO {sql_table(lake.dlq(name))} AS t USING {_VERDICTS} AS s ON t.id = s.{_LETTER} "
        f"WHEN MATCHED AND {still} AND size(s.{ERRORS}) = 0 THEN UPDATE SET status = '{STATUS_REPLAYED}', {tried}, "
        "closed_by = s.run, closed_at = current_timestamp(), fixed = s.fixed "
        f"WHEN MATCHED AND {still} THEN UPDATE SET {tried}, reasons = s.{ERRORS}"
    )
    merge_from(spark, verdicts.withColumn("run", F.lit(run.run_id)), _VERDICTS, statement, stamp)
    return written(spark, lake.dlq(name), stamp)
