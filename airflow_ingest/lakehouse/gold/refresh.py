"""Bringing a gold table up to date with what its inputs have published."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.commits import Stamp, stamped, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.errors import LakehouseError, SourceNotFound
from airflow_ingest.lakehouse.gold.changes import reach
from airflow_ingest.lakehouse.gold.news import news_of
from airflow_ingest.lakehouse.gold.query import with_tables
from airflow_ingest.lakehouse.gold.rules import judge_result
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, rows_put
from airflow_ingest.lakehouse.model import ALREADY_APPLIED, LoadResult, RowCounts, RunInfo, short_hash
from airflow_ingest.lakehouse.pins import NO_PINS, Pins, drawn, recalled
from airflow_ingest.lakehouse.quality.results import record
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.tables import change_feed, ensure
from airflow_ingest.lakehouse.widening import is_type_error

STEP = "gold"


@replanned
def refresh_gold(
    spark: SparkSession, lake: Lake, name: str, gold: Gold, run: RunInfo, *, pins: Pins = NO_PINS
) -> LoadResult:
    """Recomputes what of the gold table `name` its inputs' news can have changed, in one commit.

    The result is `unchanged` if there is no news; with `pins`, a retry whose first attempt has published tells of that
    attempt's load. Raises SourceNotFound if an input was never published, and
    LakehouseError if a rule of severity error fails on the result: the table then keeps its old version.
    """
    started = time.monotonic()
    path = lake.gold(name)
    news = news_of(spark, lake, name, gold)
    if news.absent:
        raise SourceNotFound(
            f"{', '.join(news.absent)} has no published version yet. Load it first, or see why its load failed."
        )
    last, now = news.last, news.now
    partitions = news.partitions(spark, gold)
    application = f"{name}/gold"
    version, done = recalled(pins, "gold", application, news.commits)
    if done and partitions == []:
        return _loaded(name, done, ALREADY_APPLIED, started)
    if last and partitions == []:
        return LoadResult(
            step=STEP,
            table=name,
            status="unchanged",
            reason=f"nothing new in {', '.join(gold.inputs)}",
            version=last.version,
            seconds=time.monotonic() - started,
        )
    rows = _result(spark, gold, news.paths, news.versions, partitions, run)
    if last is None or not news.same_query or last.metadata.get("pipeline") != lake.pipeline:
        ensure(spark, lake, path, rows, partition_by=gold.partition_by, table_properties=change_feed(rows.columns))
    known = {"pipeline": lake.pipeline, "layer": "gold", "table": name, "run": run.run_id}
    version = drawn(pins, "gold") if done else version
    stamp = Stamp(application, version, {**known, "inputs": now, "query": news.query})
    try:
        _publish(spark, lake, name, gold, run, rows, partitions, stamp)
    except Exception as error:
        if partitions is None or not is_type_error(error):
            raise
        partitions = None  # its columns have other types now, as after a widening of its inputs
        rows = _result(spark, gold, news.paths, news.versions, partitions, run)
        _publish(spark, lake, name, gold, run, rows, partitions, stamp)
    reason = "recomputed whole" if partitions is None else f"recomputed {len(partitions)} partitions"
    return _loaded(name, written(spark, path, stamp), reason, started)


def _loaded(name: str, commit: Commit, reason: str, started: float) -> LoadResult:
    output = rows_put(commit.metrics)
    return LoadResult(
        step=STEP,
        table=name,
        version=commit.version,
        rows=RowCounts(read=output, inserted=output),
        reason=reason,
        seconds=time.monotonic() - started,
    )


def _result(
    spark: SparkSession,
    gold: Gold,
    paths: Mapping[str, str],
    versions: Mapping[str, int],
    partitions: Sequence[Any] | None,
    run: RunInfo,
) -> DataFrame:
    views = {source: f"ingest_{source.replace('.', '__')}" for source in paths}
    for source, view in views.items():
        pinned = spark.read.format("delta").option("versionAsOf", versions[source]).load(paths[source])
        within = _within_reach(gold, partitions)
        (pinned.where(F.expr(within)) if within else pinned).createOrReplaceTempView(view)
    rows = spark.sql(with_tables(gold.query, views))
    if partitions is not None:
        rows = rows.where(F.expr(predicate(gold, partitions)))
    return rows.withColumns(
        {
            BATCH_ID: F.lit(short_hash(run.pipeline, run.run_id)),
            "_ingested_at": F.current_timestamp(),
            "_ingested_by": F.lit(run.run_id),
        }
    )


def _within_reach(gold: Gold, partitions: Sequence[Any] | None) -> str:
    """The input rows that a rolling window over `partitions` can see; Spark does not prune through a window."""
    over = gold.aggregate.over if gold.aggregate else None
    if not partitions or over is None or over.order_by != gold.partition_by[0]:
        return ""
    first, last = min(partitions) - reach(gold), max(partitions)
    return f"{quote(over.order_by)} >= {literal(first)} AND {quote(over.order_by)} <= {literal(last)}"


def _publish(
    spark: SparkSession,
    lake: Lake,
    name: str,
    gold: Gold,
    run: RunInfo,
    rows: DataFrame,
    partitions: Sequence[Any] | None,
    stamp: Stamp,
) -> None:
    if not gold.quality.rules:
        _write(lake.gold(name), gold, rows, partitions, stamp)
        return
    checked = rows.persist()
    try:
        judgement = judge_result(name, gold, checked)
        with ThreadPoolExecutor(max_workers=1) as pool:
            recording = pool.submit(record, spark, lake, run, judgement)
            if not judgement.broken:
                _write(lake.gold(name), gold, checked, partitions, stamp)
            recording.result()
    finally:
        checked.unpersist()
    if judgement.broken:
        raise LakehouseError(
            f"gold.{name} keeps its old version, since the new result breaks its rules: {'; '.join(judgement.broken)}. "
            "Correct the inputs or the rules, then clear this task."
        )


def _write(path: str, gold: Gold, rows: DataFrame, partitions: Sequence[Any] | None, stamp: Stamp) -> None:
    writer = stamped(rows.write.format("delta").mode("overwrite"), stamp)
    if partitions is None:
        writer.option("overwriteSchema", True).partitionBy(*gold.partition_by).save(path)
    else:
        writer.option("replaceWhere", predicate(gold, partitions)).option("mergeSchema", True).save(path)


def predicate(gold: Gold, partitions: Sequence[Any]) -> str:
    """What holds for the rows of `partitions` alone."""
    values = ", ".join(literal(value) for value in partitions)
    return f"{quote(gold.partition_by[0])} IN ({values})"
