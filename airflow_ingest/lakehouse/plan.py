"""What a run would do, worked out by the code that does it, and nothing written."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse.batches import waiting_batches
from airflow_ingest.lakehouse.bronze import batch_predicate, draft_batch, fit_to, read_batch, read_for, refusal
from airflow_ingest.lakehouse.commits import Place
from airflow_ingest.lakehouse.errors import NothingToLoad, SourceNotFound
from airflow_ingest.lakehouse.gold.news import news_of
from airflow_ingest.lakehouse.gold.refresh import nothing_new
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.model import Batch, RowCounts, RunInfo
from airflow_ingest.lakehouse.planned import GoldPlan, TablePlan
from airflow_ingest.lakehouse.quality.gate import measuring, outcome_of
from airflow_ingest.lakehouse.quality.results import past_values
from airflow_ingest.lakehouse.silver.judged import (
    MALFORMED,
    judge,
    judging,
    select_sql,
)
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.preview import Preview
from airflow_ingest.lakehouse.sources import source_of
from airflow_ingest.lakehouse.sources.database import Database
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import own_properties
from airflow_ingest.lakehouse.widening import changes


def plan_table(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    run: RunInfo,
    *,
    files: str | None = None,
    database: Database | None = None,
) -> TablePlan:
    """What `run` would read, reject and write of one table, from its source as it is now.

    Raises what the run itself would raise before it writes anything: SourceNotFound, SourceUnreadable, SchemaMismatch
    or TableOwnedByOther.
    """
    started = time.monotonic()
    if reason := refusal(spark, lake, name, table, run):
        return TablePlan(table=name, status="skip", reason=reason)
    source = source_of(lake, name, table, files=files, database=database)
    try:
        pinned = source.plan(spark, run, draft_batch(name, table, run), lake.bronze(name))
        plan = read_for(partial(_plan, spark, lake, table, run), spark, source, pinned, table)
    except NothingToLoad as nothing:
        return TablePlan(table=name, status="skip", reason=str(nothing))
    except Exception as error:
        raise source.told(error) from None
    return plan.model_copy(update={"seconds": time.monotonic() - started})


def plan_gold(spark: SparkSession, lake: Lake, name: str, gold: Gold) -> GoldPlan:
    """What a run that publishes nothing new in the inputs would recompute of one gold table."""
    started = time.monotonic()
    own_properties(spark, lake, lake.gold(name))
    news = news_of(spark, lake, name, gold)
    told: dict[str, Any] = {
        "table": name,
        "inputs": news.now,
        "absent": news.absent,
        "taken": news.taken,
        "query": gold.query,
        "keys": tuple(gold.keys),
    }
    if news.absent:
        reason = f"{', '.join(news.absent)} is not published yet"
        return GoldPlan(status="wait", reason=reason, **told)
    scope = news.scope(spark, gold)
    if scope is None:
        told |= {"status": "recompute", "reason": "whole" if news.last else "whole, for the first time"}
    elif scope.is_empty:
        told |= {"status": "unchanged", "reason": nothing_new(gold), "partitions": ()}
    else:
        told |= {"status": "recompute", "reason": str(scope), "partitions": scope.values, "replaces": scope.sql()}
    return GoldPlan(seconds=time.monotonic() - started, **told)


def _plan(spark: SparkSession, lake: Lake, table: Table, run: RunInfo, batch: Batch, rows: DataFrame) -> TablePlan:
    batch, rows, in_bronze = _beside_bronze(spark, lake, table, batch, rows)
    plan = TablePlan(table=batch.table, batch=batch, again=in_bronze is not None, in_bronze=in_bronze or 0)
    if not table.gated:
        return plan.model_copy(update={"rows": RowCounts(read=rows.count())})
    own_properties(spark, lake, lake.silver(batch.table))
    try:
        lookups = Lookups.of(spark, lake, table)
    except SourceNotFound as absent:
        return plan.model_copy(update={"status": "wait", "reason": str(absent)})
    with judging(spark):
        judged = judge(spark, lake, batch.table, table, batch, lookups, rows)
        past = past_values(spark, lake, batch.table, table.quality.rules, batch.id)
        gate = outcome_of(table, judged, batch, measuring(table, judged).answers(judged.columns), past)
        found = Preview(spark, lake, table, run, judged, gate, lookups, rows).told() if table.silver else {}
    told: dict[str, Any] = {
        "rows": gate.rows,
        "malformed": gate.rejections.get(MALFORMED, 0),
        "rejections": gate.rejections,
        "rules": gate.rules,
        "decision": gate.decision,
        "reasons": gate.reasons,
    }
    if table.silver:
        told["others"] = waiting_batches(spark, lake, batch.table, but=batch.id)
        told["select"] = select_sql(judged, table, sql_table(lake.bronze(batch.table)), batch_predicate(batch))
    return plan.model_copy(update={**told, **found})


def _beside_bronze(
    spark: SparkSession, lake: Lake, table: Table, batch: Batch, rows: DataFrame
) -> tuple[Batch, DataFrame, int | None]:
    """The batch with its `rows` as bronze would hold them, and how many rows of it bronze holds, if it had it."""
    path = lake.bronze(batch.table)
    if own_properties(spark, lake, path) is None:
        return batch, rows, None
    bronze = spark.read.format("delta").load(path)
    if table.bronze.schema_ == "enforce" or changes(bronze.schema, rows.schema):
        fit = fit_to(path, bronze.schema, table, batch, rows)
        batch, rows = fit.batch, fit.rows
    commits = history(spark, path, 200)
    held = None if Place.of(batch, commits).first else read_batch(spark, lake, batch).count()
    loaded = held or any((commit.metadata.get("batch") or {}).get("id") == batch.id for commit in commits)
    return batch, bronze.limit(0).unionByName(rows, allowMissingColumns=True), held if loaded else None
