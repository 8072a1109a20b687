"""How far a pipeline's tables have got, from their logs; rows are read only where a log cannot tell."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from pydantic import AwareDatetime
from pyspark.sql import functions as F

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse.batches import WaitingBatch, waiting_batches
from airflow_ingest.lakehouse.bronze import BATCH_ORDER
from airflow_ingest.lakehouse.commits import highest_of
from airflow_ingest.lakehouse.dlq import STATUS_OPEN
from airflow_ingest.lakehouse.failures import FailedLoad, failed_loads
from airflow_ingest.lakehouse.gold.news import news_of
from airflow_ingest.lakehouse.log import LOOK_BACK, Commit, history, in_effect, rows_put
from airflow_ingest.lakehouse.model import Batch, Interval, Value

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake

_REACH = 1000
"""Commits that are read to learn which intervals were loaded; the rows of a longer history are asked instead."""

_WRITTEN = ("numTargetRowsInserted", "numTargetRowsUpdated", "numTargetRowsDeleted")


class LastLoad(Value):
    """The newest load of a layer: of which batch, by which run, when, and the rows that it wrote."""

    batch_id: str
    interval: Interval | None
    run_id: str
    at: AwareDatetime | None
    rows: int


class LayerStatus(Value):
    """One Delta table: its version, the end of the newest interval that it has, and its newest load."""

    version: int
    watermark: AwareDatetime | None = None
    last: LastLoad | None = None


class TableStatus(Value):
    """One table of a pipeline. `bronze` is None if it was never loaded, `silver` if nothing was published.

    `loaded` are the ends of the intervals that bronze has; `waiting` the batches that silver has still to take;
    `failed` the loads that were given up since the newest one that went well, newest first.
    """

    table: str
    bronze: LayerStatus | None = None
    silver: LayerStatus | None = None
    waiting: tuple[WaitingBatch, ...] = ()
    open_letters: int = 0
    loaded: tuple[AwareDatetime, ...] = ()
    failed: tuple[FailedLoad, ...] = ()


class GoldStatus(Value):
    """One gold table: its version (None if there is none), its newest run and when, and what it has not taken yet."""

    table: str
    version: int | None = None
    run_id: str = ""
    at: AwareDatetime | None = None
    news: tuple[str, ...] = ()


def table_status(spark: SparkSession, lake: Lake, name: str, table: Table) -> TableStatus:
    """The state of one table."""
    commits = history(spark, lake.bronze(name), LOOK_BACK)
    if not commits:
        return TableStatus(table=name, failed=_failed(spark, lake, name, None))
    bronze = _layer(commits)
    silver = _layer(history(spark, lake.silver(name), LOOK_BACK)) if table.silver else None
    return TableStatus(
        table=name,
        bronze=bronze,
        silver=silver,
        waiting=waiting_batches(spark, lake, name) if table.silver else (),
        open_letters=_open_letters(spark, lake.dlq(name)) if table.gated else 0,
        loaded=_loaded(spark, lake.bronze(name)) if table.extract.mode == "interval" else (),
        failed=_failed(spark, lake, name, silver if table.silver else bronze),
    )


def gold_status(spark: SparkSession, lake: Lake, name: str, gold: Gold) -> GoldStatus:
    """The state of one gold table."""
    news = news_of(spark, lake, name, gold)
    told = [f"{source} is not published yet" for source in news.absent]
    if news.last is None:
        return GoldStatus(table=name, news=told)
    told += [
        f"{source} went from version {news.taken.get(source, 'none')} to {version}"
        for source, version in news.now.items()
        if news.taken.get(source) != version
    ]
    if not news.same_query:
        told.append("its configuration changed")
    newest = history(spark, lake.gold(name), 1)[0].version
    run_id = news.last.metadata.get("run", "")
    return GoldStatus(table=name, version=newest, run_id=run_id, at=news.last.at, news=told)


def _layer(commits: Sequence[Commit]) -> LayerStatus | None:
    if not commits:
        return None
    valid = list(in_effect(commits))
    loads = [commit for commit in valid if commit.metadata.get("batch")]
    ends = [batch.interval.end for batch in map(_batch, loads) if batch.interval]
    told = highest_of(valid)
    return LayerStatus(
        version=commits[0].version,
        watermark=datetime.fromisoformat(told) if told else max(ends, default=None),
        last=_last(loads[0]) if loads else None,
    )


def _last(commit: Commit) -> LastLoad:
    batch = _batch(commit)
    merged = [commit.metrics[name] for name in _WRITTEN if name in commit.metrics]
    return LastLoad(
        batch_id=batch.id,
        interval=batch.interval,
        run_id=str(commit.metadata.get("run", batch.run_id)),
        at=commit.at,
        rows=sum(merged) if merged else rows_put(commit.metrics),
    )


def _batch(commit: Commit) -> Batch:
    return Batch.from_dict(commit.metadata["batch"])


def _open_letters(spark: SparkSession, path: str) -> int:
    if not history(spark, path, 1):
        return 0
    return spark.read.format("delta").load(path).where(F.col("status") == F.lit(STATUS_OPEN)).count()


def _failed(spark: SparkSession, lake: Lake, name: str, published: LayerStatus | None) -> tuple[FailedLoad, ...]:
    since = published.last.at if published and published.last else None
    found = failed_loads(spark, lake, name, limit=5)
    return tuple(failure for failure in found if since is None or failure.at is None or failure.at > since)


def _loaded(spark: SparkSession, bronze: str) -> tuple[datetime, ...]:
    """The ends of the intervals that bronze was loaded with, oldest first.

    An interval without a row is known from the log alone, so it is forgotten when its commit is cleaned up.
    """
    commits = history(spark, bronze, _REACH)
    batches = [_batch(commit) for commit in in_effect(commits) if commit.metadata.get("batch")]
    ends = {batch.interval.end.astimezone(timezone.utc) for batch in batches if batch.interval}
    if commits and commits[-1].version > 0:
        orders = spark.read.format("delta").load(bronze).select(F.unix_micros(BATCH_ORDER)).distinct().collect()
        ends |= {datetime.fromtimestamp(row[0] / 1_000_000, timezone.utc) for row in orders}
    return tuple(sorted(ends))
