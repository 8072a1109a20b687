"""What an expression of the configuration reads, and where it can lose a value without a word.

Rows are judged with ANSI mode off, since one bad value must reject its row and not stop the batch. Then a cast that
fails, an overflow or a date that does not exist gives NULL; `losses` lists a condition for each such place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

# Spark's own dialect reads CAST as TRY_CAST (as it was before ANSI mode); this one keeps them apart.
_DIALECT = "databricks"
_ARITHMETIC = {"Add": "try_add", "Sub": "try_subtract", "Mul": "try_multiply", "Div": "try_divide"}
_PARTIAL_FUNCTIONS = frozenset(
    {"make_date", "make_timestamp", "to_date", "to_timestamp", "to_number", "date_from_parts", "unix_timestamp"}
)
_HANDLED_BY_THE_AUTHOR = frozenset({"Case", "If", "Coalesce", "Nullif", "TryCast", "Lambda", "Try"})


@dataclass(frozen=True)
class Loss:
    """`condition` is true for a row in which the part `sql` of an expression has operands but no value."""

    condition: str
    sql: str


@lru_cache(maxsize=4096)
def source_columns(expression: str) -> frozenset[str]:
    """The names of the columns that `expression` reads."""
    from sqlglot import exp

    tree = _parse(expression)
    parameters = {name.name for found in tree.find_all(exp.Lambda) for name in found.expressions}
    return frozenset(column.parts[0].name for column in tree.find_all(exp.Column)) - parameters


@lru_cache(maxsize=4096)
def losses(expression: str) -> tuple[Loss, ...]:
    """Every place of `expression` where a value can get lost: casts, arithmetic, dates from parts and from text.

    Inside CASE, IF, COALESCE, NULLIF and the try_ functions the author has said what happens, so nothing is added.
    """
    found: list[Loss] = []
    _collect(_parse(expression), found)
    return tuple(found)


def _parse(expression: str) -> exp.Expr:
    import sqlglot

    return sqlglot.parse_one(expression, read=_DIALECT)


def _collect(node: exp.Expr, found: list[Loss]) -> None:
    if _is_handled(node):
        return
    if loss := _loss(node):
        found.append(loss)
    for child in node.iter_expressions():
        _collect(child, found)


def _is_handled(node: exp.Expr) -> bool:
    return type(node).__name__ in _HANDLED_BY_THE_AUTHOR or _function_name(node).startswith("try_")


def _loss(node: exp.Expr) -> Loss | None:
    from sqlglot import exp

    kind = type(node).__name__
    if kind == "Cast":
        return _loses(_sql(node), [node.this], f"try_cast({_sql(node.this)} AS {_sql(node.args['to'])})")
    if kind in _ARITHMETIC and isinstance(node, exp.Binary):
        operands = [node.left, node.right]
        return _loses(_sql(node), operands, f"{_ARITHMETIC[kind]}({_sql(node.left)}, {_sql(node.right)})")
    if _function_name(node) in _PARTIAL_FUNCTIONS:
        return _loses(_sql(node), list(node.iter_expressions()), _sql(node))
    return None


def _loses(sql: str, operands: list[exp.Expr], value: str) -> Loss:
    present = " AND ".join(f"({_sql(operand)}) IS NOT NULL" for operand in operands)
    return Loss(f"({present} AND ({value}) IS NULL)", sql)


def _function_name(node: exp.Expr) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    if isinstance(node, exp.Func):
        return _sql(node).split("(", 1)[0].lower()
    return ""


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect=_DIALECT)
