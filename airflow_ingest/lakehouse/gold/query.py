"""Reading a gold table's SQL: which tables it takes rows from, and which input column a partition comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from sqlglot import exp

LAYERS = ("silver", "gold")
_DIALECT = "databricks"


@dataclass(frozen=True)
class Origin:
    """The column of an input table that an output column is."""

    table: str
    column: str


def with_tables(sql: str, names: Mapping[str, str]) -> str:
    """`sql` with every lake table (`silver.flights`) replaced by the relation that `names` has for it.

    The rest of the text stays as it was written. A table without an alias keeps its own name as one.
    """
    spliced = sql
    for table in sorted(_lake_tables(_parse(sql)), key=_start, reverse=True):
        relation = quote(names[_name(table)])
        alias = "" if table.alias else f" AS {quote(table.name)}"
        spliced = spliced[: _start(table)] + relation + alias + spliced[_end(table) :]
    return spliced


@lru_cache(maxsize=256)
def origin(sql: str, output: str) -> Origin | None:
    """The input column that the output column `output` is, if a changed input row can only change output rows with
    the same value in it; None where that cannot be told (windows, set operations, LIMIT, subqueries, expressions, a
    table that is read twice, or whose rows an outer join can do without).
    """
    from sqlglot import exp

    tree = _parse(sql)
    if not isinstance(tree, exp.Select) or _reaches_across_rows(tree):
        return None
    projections = {item.alias_or_name: item.unalias() for item in tree.expressions}
    found = projections.get(output)
    if found is None and isinstance(tree.expressions[0], exp.Star) and len(tree.expressions) == 1:
        found = exp.column(output)
    if not isinstance(found, exp.Column):
        return None
    tables = _lake_tables(tree)
    by_alias = {table.alias_or_name: table for table in tables}
    table = by_alias.get(found.table) if found.table else tables[0] if len(tables) == 1 else None
    if table is None or [_name(other) for other in tables].count(_name(table)) > 1 or _may_be_missing(table, tree):
        return None
    return Origin(_name(table), found.name)


def _may_be_missing(table: exp.Table, tree: exp.Select) -> bool:
    """Whether there can be output rows without a row of `table`, which then come and go with its rows."""
    joins = tree.args.get("joins") or []
    return any(join.side in ("RIGHT", "FULL") or (join.side == "LEFT" and join.this is table) for join in joins)


def _reaches_across_rows(tree: exp.Select) -> bool:
    from sqlglot import exp

    across = (
        exp.Window,
        exp.Limit,
        exp.Offset,
        exp.Subquery,
        exp.CTE,
        exp.SetOperation,
        exp.Lateral,
        exp.Rollup,
        exp.Cube,
        exp.GroupingSets,
    )
    return any(tree.find(kind) for kind in across) or len(list(tree.find_all(exp.Select))) > 1


def _parse(sql: str) -> exp.Expr:
    import sqlglot

    return sqlglot.parse_one(sql, read=_DIALECT)


def _lake_tables(tree: exp.Expr) -> list[exp.Table]:
    from sqlglot import exp

    return [table for table in tree.find_all(exp.Table) if table.db in LAYERS]


def _name(table: exp.Table) -> str:
    return f"{table.db}.{table.name}"


def _start(table: exp.Table) -> int:
    return int(table.args["db"].meta["start"])


def _end(table: exp.Table) -> int:
    return int(table.this.meta["end"]) + 1
