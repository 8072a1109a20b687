"""What an expression of the configuration reads, and where it can lose a value without a word.

Rows are judged with ANSI mode off, since one bad value must reject its row and not stop the batch. Then a cast that
fails, also one that Spark makes unasked, an overflow or a date that does not exist gives NULL; `losses` lists a
condition for each such place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

# Spark's own dialect reads CAST as TRY_CAST (as it was before ANSI mode); this one keeps them apart.
_DIALECT = "databricks"
_ARITHMETIC = {
    "Add": "try_add",
    "Sub": "try_subtract",
    "Mul": "try_multiply",
    "Div": "try_divide",
    "Mod": "try_mod",
}
_STRICT = frozenset({"IntDiv", "Neg", "EQ", "NEQ", "GT", "GTE", "LT", "LTE", "Between", "In"})
_STRICT_FUNCTIONS = frozenset(
    """
    abs add_months bround ceil ceiling date_add date_format date_from_parts date_sub date_trunc datediff day dayofmonth
    dayofweek dayofyear exp extract floor from_unixtime from_utc_timestamp hour last_day make_date make_timestamp
    minute month months_between next_day pmod power quarter round second sign sqrt timestampdiff to_date to_number
    to_timestamp to_unix_timestamp to_utc_timestamp trunc unbase64 unhex unix_timestamp weekday weekofyear year
    """.split()  # noqa: SIM905
)
"""They have NULL for a NULL, and for what they cannot take; so have the operators in `_STRICT`."""
_READS_AS_TIME = ("TsOrDsToDate", "TimeStrToTime")
"""What sqlglot puts around the text that a function takes for a time."""
_PASS_OVER_NULL = frozenset(
    """
    ApproxDistinct Avg Count CountIf LogicalAnd LogicalOr Max Min Stddev StddevPop StddevSamp Sum Variance VariancePop
    """.split()  # noqa: SIM905
)
_OF_EACH_ITEM = frozenset({"transform", "filter", "exists", "forall"})


@dataclass(frozen=True)
class Loss:
    """`condition` is true for a row in which the part `sql` of an expression has operands but no value, else false."""

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
    """Every place of `expression` where a value can get lost: casts, arithmetic, comparisons, dates, numbers.

    A place counts where it is reached: a branch of CASE when its condition holds, the right side of AND unless the
    left is false. What COALESCE has another value for, and what a try_ function gives, is as its author wants it.
    """
    return tuple(_losses(_parse(expression)))


def over_rows(aggregate: str, condition: str) -> str | None:
    """The expression `aggregate`, each of whose aggregations takes only rows for which `condition` holds.

    Other rows give it NULL, since Spark's observed metrics take no FILTER; None where that is not the same.
    """
    from sqlglot import exp

    tree = _parse(aggregate)
    calls = list(tree.find_all(exp.AggFunc))
    if tree.find(exp.Filter) or any(type(call).__name__ not in _PASS_OVER_NULL or call.expressions for call in calls):
        return None

    def bounded(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.AggFunc):
            return node
        value = exp.Literal.number(1) if isinstance(node.this, exp.Star) else node.this.copy()
        call = node.copy()
        call.set("this", exp.Case(ifs=[exp.If(this=exp.column("__counts"), true=value)]))
        return call

    return _sql(tree.transform(bounded)).replace("__counts", f"({condition})")


def _parse(expression: str) -> exp.Expr:
    import sqlglot

    return sqlglot.parse_one(expression, read=_DIALECT)


def _losses(node: exp.Expr) -> Iterator[Loss]:
    if loss := _own(node):
        yield loss
    for child, reached in _parts(node):
        for loss in _losses(child):
            yield Loss(f"({' AND '.join([*reached, loss.condition])})", loss.sql) if reached else loss
    yield from _of_each_item(node)


def _own(node: exp.Expr) -> Loss | None:
    """The loss at `node` itself."""
    from sqlglot import exp

    kind = type(node).__name__
    if kind == "Cast":
        return _loses(node, [node.this], f"try_cast({_sql(node.this)} AS {_sql(node.args['to'])})")
    if kind in (*_ARITHMETIC, *_STRICT) and (node.find(exp.Identifier) is None or node.find(exp.Query)):
        return None
    if kind in _ARITHMETIC and isinstance(node, exp.Binary):
        operands = [node.left, node.right]
        return _loses(node, operands, f"{_ARITHMETIC[kind]}({_sql(node.left)}, {_sql(node.right)})")
    if kind in _STRICT or _function_name(node) in _STRICT_FUNCTIONS:
        return _loses(node, [_as_written(part) for part in node.iter_expressions() if type(part).__name__ != "Var"])
    return None


def _parts(node: exp.Expr) -> Iterator[tuple[exp.Expr, Sequence[str]]]:
    """The parts of `node` in which a value can get lost, each with the conditions under which it is reached."""
    from sqlglot import exp

    kind = type(node).__name__
    if kind in ("TryCast", "Try") or _function_name(node).startswith("try_"):
        return
    if isinstance(node, exp.Coalesce):
        *others, last = (node.this, *node.expressions)
        yield last, [f"({_sql(other)}) IS NULL" for other in others]
    elif isinstance(node, exp.Case):
        yield from _branches(node)
    elif isinstance(node, exp.If):
        yield from _branches(exp.Case(ifs=[node], default=node.args.get("false")))
    elif isinstance(node, exp.And | exp.Or):
        yield node.left, []
        yield node.right, [_holds(node.left, unknown=True) if isinstance(node, exp.And) else f"NOT {_holds(node.left)}"]
    else:
        strict = _function_name(node) in _STRICT_FUNCTIONS
        for part in node.iter_expressions():
            if not isinstance(part, exp.Lambda):
                yield (_as_written(part) if strict else part), []


def _branches(case: exp.Case) -> Iterator[tuple[exp.Expr, Sequence[str]]]:
    from sqlglot import exp

    passed: list[str] = []
    for branch in case.args["ifs"]:
        condition = exp.EQ(this=case.this.copy(), expression=branch.this.copy()) if case.this else branch.this
        yield condition, tuple(passed)
        yield branch.args["true"], (*passed, _holds(condition))
        passed.append(f"NOT {_holds(condition)}")
    if case.args.get("default"):
        yield case.args["default"], tuple(passed)


def _of_each_item(node: exp.Expr) -> Iterator[Loss]:
    """The losses in what is done with each item of an array."""
    from sqlglot import exp

    if _function_name(node) not in _OF_EACH_ITEM:
        return
    array, *others = node.iter_expressions()
    for function in others:
        if isinstance(function, exp.Lambda) and len(function.expressions) == 1:
            item = _sql(function.expressions[0])
            for loss in _losses(function.this):
                yield Loss(f"coalesce(exists({_sql(array)}, {item} -> {loss.condition}), false)", loss.sql)


def _as_written(node: exp.Expr) -> exp.Expr:
    return node.this if type(node).__name__ in _READS_AS_TIME else node


def _holds(condition: exp.Expr, *, unknown: bool = False) -> str:
    return f"coalesce({_sql(condition)}, {str(unknown).lower()})"


def _loses(node: exp.Expr, operands: Sequence[exp.Expr], value: str | None = None) -> Loss:
    from sqlglot import exp

    known = (operand for operand in operands if not isinstance(operand, exp.Literal))
    conditions = [f"({_sql(operand)}) IS NOT NULL" for operand in known]
    return Loss(f"({' AND '.join([*conditions, f'({value or _sql(node)}) IS NULL'])})", _sql(node))


def _function_name(node: exp.Expr) -> str:
    from sqlglot import exp

    if isinstance(node, exp.Anonymous):
        return str(node.this).lower()
    if isinstance(node, exp.Func):
        return _sql(node).split("(", 1)[0].lower()
    return ""


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect=_DIALECT)
