"""Which rows of a gold table its inputs' changes reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.feed import touched_bounds, touched_values
from airflow_ingest.lakehouse.gold.query import origin
from airflow_ingest.lakehouse.gold.scope import TOO_MANY, Among, Part, Scope
from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_PLAIN = (bool, int, str, date)
"""The types of values that mean the same wherever they are written down; a time depends on the session's zone."""


@dataclass(frozen=True)
class Trace:
    """Columns of a gold table, each with the column of the input `table` that it is.

    A row of the input that changes can only change rows of the gold table with the same values in them.
    """

    table: str
    columns: Mapping[str, str]


def traced(gold: Gold) -> Trace | None:
    """Where the column of the partitions, or some of the keys, come from; None if the table is made whole."""
    wanted = identifying(gold)
    if gold.load == "replace" and len(wanted) != 1:
        return None
    if gold.aggregate is not None:
        over = gold.aggregate.over
        known = {*gold.aggregate.by, *([over.order_by] if over else [])}
        columns = {name: name for name in wanted if name in known}
        return Trace(gold.aggregate.from_, columns) if columns else None
    found = {name: source for name in wanted if gold.sql and (source := origin(gold.sql, name))}
    if not found:
        return None
    table = next(iter(found.values())).table
    return Trace(table, {name: source.column for name, source in found.items() if source.table == table})


def identifying(gold: Gold) -> list[str]:
    """The columns of the query that say which rows of the table are made anew together: by partition, or by key."""
    if gold.load != "merge":
        return gold.partition_by
    return [column for key in gold.keys for column in gold.surrogate_key.get(key, [key])]


def followed(gold: Gold) -> list[str]:
    """The inputs whose changes tell which rows of the gold table have to be made anew."""
    return [] if gold.load == "overwrite" else [name for name in gold.inputs if _ways(gold, name)]


def scope_of(
    spark: SparkSession,
    gold: Gold,
    path: str,
    inputs: Mapping[str, str],
    taken: Mapping[str, int],
    now: Mapping[str, int],
) -> Scope | None:
    """The rows of the gold table at `path` that have to be made anew, or None for all.

    `inputs`, `taken` and `now` are by input (`silver.flights`): where it is, its version when gold took it last, and
    its version now. The changed rows come from Delta's change feed, before and after images both, and are widened
    by the reach of a rolling window.
    """
    if gold.load == "overwrite" or set(taken) != set(now) or any(now[name] < taken[name] for name in now):
        return None
    parts: list[Part] = []
    by_key = True
    for name in (name for name in now if now[name] != taken[name]):
        ways = _ways(gold, name)
        if ways is None:
            return None
        for columns in ways:
            part = _part(spark, gold, inputs[name], columns, taken[name] + 1, now[name])
            if part is None:
                return None
            parts += [part] if part.count else []
            by_key = by_key and set(columns) <= set(identifying(gold))
    if gold.load == "merge":
        return Scope(tuple(parts), by_key=by_key)
    return _partitions(spark, gold.partition_by[0], path, parts)


def _ways(gold: Gold, name: str) -> list[Mapping[str, str]] | None:
    """By which columns, each with the input's own, rows of the gold table follow from those of the input `name`.

    None if that cannot be told.
    """
    lookups = {(found.by or found.key, found.key): None for found in gold.dimensions.values() if found.table == name}
    ways: list[Mapping[str, str]] = [{by: key} for by, key in lookups]
    if name in gold.queried:
        trace = traced(gold)
        if trace is None or trace.table != name:
            return None
        ways.append(trace.columns)
    return ways


def _part(spark: SparkSession, gold: Gold, path: str, columns: Mapping[str, str], first: int, last: int) -> Part | None:
    """The rows with one of the values that versions `first` to `last` of the input at `path` have touched."""
    sources = list(columns.values())
    rows = touched_values(spark, path, sources, first, last, at_most=TOO_MANY + 1)
    if rows is None:
        return None
    span = len(rows) > TOO_MANY
    found: Sequence[tuple[Any, ...]] = [tuple(dict.fromkeys(values)) for values in zip(*rows, strict=True)]
    if span:
        bounds = touched_bounds(spark, path, sources, first, last)
        if bounds is None:
            return None
        found = [(low, high, *([None] if null else [])) for low, high, null in bounds]
    among = [_widened(gold, Among(name, values, span)) for name, values in zip(columns, found, strict=False)]
    usable = tuple(one for one in among if one is not None)
    return Part(usable, len(rows)) if usable or not rows else None


def _widened(gold: Gold, among: Among) -> Among | None:
    """`among` with the rows whose rolling windows reach its own; None if they, or its values, cannot be told."""
    kinds = {type(value) for value in among.values if value is not None}
    if not kinds <= set(_PLAIN):
        return None
    over = gold.aggregate.over if gold.aggregate else None
    if over is None or over.order_by != among.name:
        return among
    return among.ahead(reach(gold)) if kinds <= {date} and None not in among.values else None


def _partitions(spark: SparkSession, name: str, path: str, parts: Sequence[Part]) -> Scope | None:
    """The partitions, by the column `name`, of the rows of `parts`; None for all.

    Where `parts` speak of another column, of a dimension's key, the rows themselves have not changed: the table at
    `path` tells where they are.
    """
    found: set[Any] = set()
    for part in parts:
        if [among.name for among in part.columns] == [name]:
            if part.columns[0].span:
                return None
            found |= set(part.columns[0].values)
            continue
        rows = spark.read.format("delta").load(path).where(part.sql()).select(quote(name)).distinct()
        found |= {row[0] for row in rows.limit(TOO_MANY + 1).collect()}
    if not {type(value) for value in found} <= set(_PLAIN) or len(found) > TOO_MANY:
        return None
    return Scope((Part((Among(name, tuple(found)),), len(found)),) if found else (), what="partitions")


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
