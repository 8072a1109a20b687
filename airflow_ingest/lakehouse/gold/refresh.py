"""Bringing a gold table up to date with what its inputs have published."""

from __future__ import annotations

import time

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.commits import Stamp
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.errors import SourceNotFound
from airflow_ingest.lakehouse.gold.changes import followed, reach
from airflow_ingest.lakehouse.gold.dimensions import with_dimensions, with_surrogate_keys
from airflow_ingest.lakehouse.gold.merge import same_shape
from airflow_ingest.lakehouse.gold.news import INPUTS, INPUTS_AT, News, news_of
from airflow_ingest.lakehouse.gold.publication import Publication, Published, counts_of
from airflow_ingest.lakehouse.gold.query import with_tables
from airflow_ingest.lakehouse.gold.scope import Scope
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import bytes_put
from airflow_ingest.lakehouse.model import ALREADY_APPLIED, LoadResult, RunInfo, short_hash
from airflow_ingest.lakehouse.pins import NO_PINS, Pins, drawn, recalled
from airflow_ingest.lakehouse.settings import compiled, rows_expected, rows_in
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.tables import change_feed, ensure, record_changes
from airflow_ingest.lakehouse.widening import is_type_error

STEP = "gold"


@replanned
def refresh_gold(
    spark: SparkSession, lake: Lake, name: str, gold: Gold, run: RunInfo, *, pins: Pins = NO_PINS
) -> LoadResult:
    """Recomputes what of the gold table `name` its inputs' news can have changed, in one commit.

    The result is `unchanged` if there is no news; with `pins`, a retry whose first attempt has published tells of that
    attempt's load. Raises SourceNotFound if an input was never published, and
    RulesBroken if one of severity error does not hold on the result: the table then keeps its old version.
    """
    started = time.monotonic()
    path = lake.gold(name)
    news = news_of(spark, lake, name, gold)
    if news.absent:
        raise SourceNotFound(
            f"{', '.join(news.absent)} has no published version yet. Load it first, or see why its load failed."
        )
    last, scope = news.last, news.scope(spark, gold)
    application = f"{name}/gold"
    version, done = recalled(pins, "gold", application, news.commits)
    if done and scope and scope.is_empty:
        return _loaded(name, Published(done), ALREADY_APPLIED, started)
    if last and scope and scope.is_empty:
        return LoadResult(
            step=STEP,
            table=name,
            status="unchanged",
            reason=nothing_new(gold),
            version=last.version,
            seconds=time.monotonic() - started,
        )
    if scope is None:
        for source in followed(gold):
            record_changes(spark, news.paths[source])
    rows = _result(spark, name, gold, news, scope, run)
    base = news.commits[0].version if gold.load == "merge" and news.same_query else None
    if base is not None and not _fits(spark, path, base, rows):
        base, scope = None, None
        rows = _result(spark, name, gold, news, scope, run)
    if last is None or not news.same_query or last.metadata.get("pipeline") != lake.pipeline:
        ensure(spark, lake, path, rows, partition_by=gold.partition_by, table_properties=change_feed(rows.columns))
    known = {"pipeline": lake.pipeline, "layer": "gold", "table": name, "run": run.run_id}
    version = drawn(pins, "gold") if done else version
    stamp = Stamp(application, version, {**known, INPUTS: news.now, INPUTS_AT: news.at, "query": news.query})
    many = rows_in(spark, news.paths.values()) if scope is None else rows_expected(news.commits)
    try:
        with compiled(spark, many):
            published = Publication(spark, lake, name, gold, scope, base, stamp).publish(rows, run)
    except Exception as error:
        if scope is None or not is_type_error(error):
            raise
        scope = None  # its columns have other types now, as after a widening of its inputs
        rows = _result(spark, name, gold, news, scope, run)
        published = Publication(spark, lake, name, gold, scope, None, stamp).publish(rows, run)
    return _loaded(name, published, f"recomputed {scope or 'whole'}", started)


def _fits(spark: SparkSession, path: str, version: int, rows: DataFrame) -> bool:
    """Whether `rows` can go into the table without changing its columns."""
    return same_shape(rows.schema, spark.read.format("delta").option("versionAsOf", version).load(path).schema)


def nothing_new(gold: Gold) -> str:
    """Why a gold table is left as it is."""
    return f"nothing new in {', '.join(gold.inputs)}" if gold.inputs else "its days are there"


def _loaded(name: str, published: Published, reason: str, started: float) -> LoadResult:
    commit = published.commit
    return LoadResult(
        step=STEP,
        table=name,
        version=commit.version,
        rows=counts_of(commit),
        bytes_written=bytes_put(commit.metrics),
        reason=reason,
        seconds=time.monotonic() - started,
        rules=published.rules,
        columns=published.columns,
    )


def _result(spark: SparkSession, name: str, gold: Gold, news: News, scope: Scope | None, run: RunInfo) -> DataFrame:
    """The rows of the table within `scope`, as the inputs are now."""

    def read(source: str) -> DataFrame:
        return spark.read.format("delta").option("versionAsOf", news.versions[source]).load(news.paths[source])

    views = {source: f"ingest_{source.replace('.', '__')}" for source in gold.queried}
    within = _within_reach(gold, scope)
    for source, view in views.items():
        (read(source).where(F.expr(within)) if within else read(source)).createOrReplaceTempView(view)
    rows = spark.sql(with_tables(gold.query, views))
    if scope is not None:
        rows = rows.where(F.expr(scope.sql()))
    rows = with_surrogate_keys(name, gold, with_dimensions(name, gold, rows, read))
    return rows.withColumns(
        {
            BATCH_ID: F.lit(short_hash(run.pipeline, run.run_id)),
            "_ingested_at": F.current_timestamp(),
            "_ingested_by": F.lit(run.run_id),
        }
    )


def _within_reach(gold: Gold, scope: Scope | None) -> str:
    """The input rows that a rolling window over `scope` can see; Spark does not prune through a window."""
    over = gold.aggregate.over if gold.aggregate else None
    if scope is None or over is None:
        return ""
    found = [[among for among in part.columns if among.name == over.order_by] for part in scope.parts]
    if not all(found):
        return ""
    values = [value for among, *_ in found for value in among.known]
    first, last = min(values) - reach(gold), max(values)
    return f"{quote(over.order_by)} >= {literal(first)} AND {quote(over.order_by)} <= {literal(last)}"
