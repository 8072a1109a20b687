"""`aggregate` → SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ingest.config.sql import DIALECT

if TYPE_CHECKING:
    from sqlglot import exp

    from airflow_ingest.config.gold import Aggregate, Over


def to_sql(aggregate: Aggregate) -> str:
    """Write an aggregation as one Spark SQL SELECT."""
    measures = [f"{_measure(aggregate, text)} AS {_name(name)}" for name, text in aggregate.measures.items()]
    table = ".".join(map(_name, aggregate.from_.split(".")))
    if aggregate.over is None:
        by = [_name(column) for column in aggregate.by]
        grouped = f" GROUP BY {', '.join(by)}" if by else ""
        return f"SELECT {', '.join([*by, *measures])} FROM {table}{grouped}"  # noqa: S608 - names are quoted
    by = [_name(column) for column in dict.fromkeys([*aggregate.by, aggregate.over.order_by])]
    return f"SELECT DISTINCT {', '.join([*by, *measures])} FROM {table}"  # noqa: S608 - names are quoted


def _measure(aggregate: Aggregate, text: str) -> str:
    if aggregate.over is None:
        return text
    from sqlglot import exp, parse_one

    window = _window(aggregate.by, aggregate.over)
    tree = parse_one(text, dialect=DIALECT)
    calls = [_whole_call(call) for call in tree.find_all(exp.AggFunc)] or [tree]

    def over(node: exp.Expr) -> exp.Expr:
        if not any(node is call for call in calls):
            return node
        return parse_one(f"{node.sql(DIALECT)} OVER ({window})", dialect=DIALECT)

    return tree.transform(over, copy=False).sql(DIALECT)


def _whole_call(call: exp.Expr) -> exp.Expr:
    """An aggregate with the FILTER and IGNORE NULLS that follow it."""
    from sqlglot import exp

    while isinstance(call.parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        call = call.parent
    return call


def _window(by: list[str], over: Over) -> str:
    count, unit = over.rolling.split()
    unit, size = unit.rstrip("s").upper(), int(count)
    if unit == "WEEK":
        unit, size = "DAY", size * 7
    partition = f"PARTITION BY {', '.join(map(_name, by))} " if by else ""
    frame = f"RANGE BETWEEN INTERVAL '{size - 1}' {unit} PRECEDING AND CURRENT ROW"
    return f"{partition}ORDER BY {_name(over.order_by)} {frame}"


def _name(name: str) -> str:
    return f"`{name.replace('`', '``')}`"
