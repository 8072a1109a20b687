"""Which partitions of a gold table its inputs' changes reach."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.feed import touched_values
from airflow_ingest.lakehouse.gold.query import Origin, origin

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TOO_MANY = 1000


def traced(gold: Gold) -> Origin | None:
    """The input column behind the gold table's partition column, or None if the table is recomputed whole."""
    if len(gold.partition_by) != 1:
        return None
    if gold.aggregate is not None:
        partition = gold.partition_by[0]
        over = gold.aggregate.over
        known = {*gold.aggregate.by, *([over.order_by] if over else [])}
        return Origin(gold.aggregate.from_, partition) if partition in known else None
    return origin(gold.query, gold.partition_by[0])


def changed_partitions(
    spark: SparkSession, gold: Gold, paths: Mapping[str, str], taken: Mapping[str, int], now: Mapping[str, int]
) -> list[Any] | None:
    """The values of the partition column that have to be recomputed, or None for all.

    `paths`, `taken` and `now` are by input (`silver.flights`): where it is, its version when gold took it last, and
    its version now. The changed rows come from Delta's change feed, before and after images both, and are widened
    by the reach of a rolling window.
    """
    source = traced(gold)
    if source is None or set(taken) != set(now):
        return None
    if any(now[name] != taken[name] for name in now if name != source.table):
        return None
    if now[source.table] < taken[source.table]:
        return None
    versions = taken[source.table] + 1, now[source.table]
    rows = touched_values(spark, paths[source.table], [source.column], *versions, at_most=_TOO_MANY + 1)
    values = None if rows is None else [row[0] for row in rows]
    if values is None or None in values:
        return None
    widened = _widened(gold, values)
    return None if widened is None or len(widened) > _TOO_MANY else widened


def reach(gold: Gold) -> timedelta:
    """How far the value of one row's rolling window can lie from the row, at most; zero without a window."""
    over = gold.aggregate.over if gold.aggregate else None
    if over is None:
        return timedelta()
    length, unit = over.rolling.split()
    return int(length) * _UNITS[unit.rstrip("s")]


_UNITS = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
}


def _widened(gold: Gold, values: list[Any]) -> list[Any] | None:
    over = gold.aggregate.over if gold.aggregate else None
    if over is None or over.order_by != gold.partition_by[0]:
        return sorted(values)
    if not all(type(value) is date for value in values):
        return None
    days = max(1, math.ceil(reach(gold) / timedelta(days=1)))
    return sorted({value + timedelta(days=ahead) for value in values for ahead in range(days)})
