"""Rules with SQL of an author's over the relation `batch`: in the gate's pass where it only aggregates, else beside.

A query that cannot be worked out is an error of its rule, which then does not hold.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from pyspark.errors import (
    AnalysisException,
    ArithmeticException,
    DateTimeException,
    NumberFormatException,
    SparkRuntimeException,
)
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import DriftRule, SqlRule
from airflow_ingest.config.batch_sql import BATCH
from airflow_ingest.lakehouse.expressions import over_rows
from airflow_ingest.lakehouse.quality.batch_rules import ANSWER, ERROR, ROW_COUNT, SECONDS, Measures, alias
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import quote

_DIALECT = "databricks"
_REFUSED = (AnalysisException, ArithmeticException, DateTimeException, NumberFormatException, SparkRuntimeException)
"""What is wrong with a query, and will be when it is tried again."""
_SIMPLE = frozenset({"kind", "expressions", "from_", "where"})
"""The parts of a SELECT that is one aggregation over some rows."""
Key = TypeVar("Key", int, str)


@lru_cache(maxsize=256)
def as_aggregate(sql: str) -> tuple[str, str] | None:
    """The one expression that `sql` aggregates, and the condition on its rows; None if it does more than that."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, read=_DIALECT)
    parts = {name for name, value in tree.args.items() if value}
    if not isinstance(tree, exp.Select) or not parts <= _SIMPLE or len(tree.expressions) != 1:
        return None
    inside = [*tree.expressions, *filter(None, [tree.args.get("where")])]
    if not all(map(_only_aggregates, inside)):
        return None
    source = tree.args["from_"].this if tree.args.get("from_") else None
    if not isinstance(source, exp.Table) or {name for name, value in source.args.items() if value} != {"this"}:
        return None
    if tree.find(exp.AggFunc) is None:
        return None
    where = tree.args.get("where")
    return tree.expressions[0].unalias().sql(_DIALECT), where.this.sql(_DIALECT) if where else "true"


def _only_aggregates(part: Any) -> bool:
    """Whether there is nothing in `part` but functions that are known, and no star but that of count(*)."""
    from sqlglot import exp

    others = part.find(exp.Query, exp.Window, exp.Distinct, exp.Anonymous)
    return others is None and all(isinstance(star.parent, exp.Count) for star in part.find_all(exp.Star))


def query_of(rule: Any) -> str | None:
    """The query that answers `rule`, if it has SQL of an author's."""
    if isinstance(rule, SqlRule):
        return rule.sql
    if isinstance(rule, DriftRule) and rule.drift.metric != ROW_COUNT:
        return f"SELECT {rule.drift.metric} FROM {BATCH}"
    return None


def as_measure(rule: Any, base: str) -> str | None:
    """The aggregate that answers `rule` over the rows for which `base` holds; None if it has to be asked beside."""
    query = query_of(rule)
    found = as_aggregate(query) if query else None
    return over_rows(found[0], f"{base} AND coalesce(({found[1]}), false)") if found else None


def unsound(rows: DataFrame, asked: Mapping[Key, Measures]) -> dict[Key, str]:
    """What Spark says against those rules whose measures over `rows` it refuses."""
    if not asked or _refusal(rows, asked.values()) is None:
        return {}
    return {key: refusal for key, measures in asked.items() if (refusal := _refusal(rows, [measures]))}


def _refusal(rows: DataFrame, asked: Collection[Measures]) -> str | None:
    columns = {name: F.expr(sql) for measures in asked for name, sql in measures.columns.items()}
    aggregates = [F.expr(sql) for measures in asked for sql in measures.aggregates.values()]
    try:
        (rows.withColumns(columns) if columns else rows).agg(*aggregates).schema  # noqa: B018 - asks for the analysis
    except AnalysisException as error:
        return brief(error)
    return None


def asked_beside(rows: DataFrame, rules: Iterable[tuple[int, Any, str]], columns: Sequence[str]) -> dict[str, Any]:
    """The answers to `rules` (index, rule, the rows that it looks at) with a query for which there is no `as_measure`.

    They see the `columns` of `rows` as the relation `batch`.
    """
    answers: dict[str, Any] = {}
    for index, rule, base in rules:
        query = query_of(rule)
        assert query is not None
        rows.where(F.expr(base)).select(*map(quote, columns)).createOrReplaceTempView(BATCH)
        began = time.monotonic()
        try:
            found = rows.sparkSession.sql(query).limit(2).collect()
        except _REFUSED as error:
            answers[alias(index, ERROR)] = brief(error)
            continue
        finally:
            rows.sparkSession.catalog.dropTempView(BATCH)
            answers[alias(index, SECONDS)] = time.monotonic() - began
        if len(found) == 1 and len(found[0]) == 1:
            answers[alias(index, ANSWER)] = found[0][0]
        else:
            shape = f"{'no' if not found else 'several'} rows" if len(found) != 1 else f"{len(found[0])} columns"
            answers[alias(index, ERROR)] = f"gives {shape}, not one value"
    return answers
