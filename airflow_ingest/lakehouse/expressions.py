"""What an expression of the configuration reads, and where it can lose a value without a word.

Rows are judged with ANSI mode off, since one bad value must reject its row and not stop the batch. Then a cast that
fails, also one that Spark makes unasked, an overflow or a date that does not exist gives NULL; `losses` lists a
condition for each such place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.casts import is_nested, lost_inside

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
_NULL_SAFE = frozenset({"NullSafeEQ", "NullSafeNEQ", "EqualNull"})
_STRICT = frozenset({"IntDiv", "Neg", "EQ", "NEQ", "GT", "GTE", "LT", "LTE", "Between", "In"})
_TYPES = frozenset({"bigint", "decimal", "smallint", "tinyint"})
"""Casts by a function that sqlglot takes for any other."""
_STRICT_FUNCTIONS = frozenset(
    """
    abs acos acosh add_months asin asinh atan atan2 atanh bin bround cbrt ceil ceiling char chr conv cos cosh cot
    csc date_add date_format date_from_parts date_from_unix_date date_part date_sub date_trunc datediff datepart day
    dayname dayofmonth dayofweek dayofyear degrees exp expm1 extract factorial floor from_unixtime
    from_utc_timestamp hour hypot last_day left ln log log1p lpad make_date make_dt_interval make_interval
    make_timestamp make_timestamp_ltz make_timestamp_ntz make_ym_interval minute month monthname months_between nanvl
    next_day overlay pmod positive power quarter radians repeat right rint round rpad sec second shiftleft shiftright
    shiftrightunsigned sign sin sinh slice split_part sqrt substr substring substring_index tan tanh
    timestamp_micros timestamp_millis timestamp_seconds timestampdiff to_char to_date to_number to_timestamp
    to_timestamp_ltz to_timestamp_ntz to_unix_timestamp to_utc_timestamp to_varchar trunc unbase64 unhex unix_micros
    unix_millis unix_seconds unix_timestamp weekday weekofyear width_bucket year
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
_OF_EACH_ITEM = {
    "transform": "transform({others}, {each})",
    "filter": "transform({others}, {each})",
    "exists": "transform({others}, {each})",
    "forall": "transform({others}, {each})",
    "zip_with": "zip_with({others}, {each})",
    "map_filter": "map_values(transform_values({others}, {each}))",
    "transform_keys": "map_values(transform_values({others}, {each}))",
    "transform_values": "map_values(transform_values({others}, {each}))",
    "map_zip_with": "map_values(map_zip_with({others}, {each}))",
}
"""Functions that take a lambda: an array of what `each`, another lambda with the same parameters, gives."""
_KEYS = {
    "DOUBLE": "tinyint|smallint|int|bigint|float|double|decimal",
    "TIMESTAMP": "date|timestamp",
    "BOOLEAN": "boolean",
}
"""Types of a map's keys, each with one that takes all texts that they take."""
_NESTED = re.compile(r"(struct|array|map)\s*<", re.I)
_CORRUPT = "_corrupt_record"
"""Where Spark's reader of JSON puts a text that it could not take."""
_GATHERED = "__gathered"


@dataclass(frozen=True)
class Loss:
    """`condition` is true for a row in which the part `sql` of an expression has operands but no value, else false."""

    condition: str
    sql: str


@lru_cache(maxsize=4096)
def source_columns(expression: str) -> frozenset[str]:
    """The names of the columns that `expression` reads."""
    from sqlglot import exp

    columns = _parse(expression).find_all(exp.Column)
    return frozenset(column.parts[0].name for column in columns if not _is_parameter(column))


def _is_parameter(column: exp.Column) -> bool:
    """Whether `column` is what a lambda around it is given; Spark takes a name in any case."""
    from sqlglot import exp

    name, around = column.parts[0].name.casefold(), column.find_ancestor(exp.Lambda)
    while around is not None:
        if name in (parameter.name.casefold() for parameter in around.expressions):
            return True
        around = around.find_ancestor(exp.Lambda)
    return False


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
    from sqlglot import exp

    if loss := _own(node):
        yield loss
    for child, reached in _parts(node):
        for loss in _losses(child):
            yield Loss(f"({' AND '.join([*reached, loss.condition])})", loss.sql) if reached else loss
    yield from _in_a_fold(node) if isinstance(node, exp.Reduce) else _of_each_item(node)


def _own(node: exp.Expr) -> Loss | None:
    """The loss at `node` itself."""
    from sqlglot import exp

    kind = type(node).__name__
    if kind == "Cast":
        return _cast(node)
    if kind in (*_ARITHMETIC, *_NULL_SAFE, *_STRICT) and (node.find(exp.Identifier) is None or node.find(exp.Query)):
        return None
    if kind in _ARITHMETIC and isinstance(node, exp.Binary):
        operands = [node.left, node.right]
        return _loses(node, operands, f"{_ARITHMETIC[kind]}({_sql(node.left)}, {_sql(node.right)})")
    if kind in _NULL_SAFE:
        return _null_safe(node)
    if kind == "IsNan":
        return _loses(node, [node.this], f"({_sql(node.this)}) + 0D")
    if isinstance(node, exp.Bracket):
        return _key(node)
    if kind == "FromJson":
        return _broken_json(node)
    if _function_name(node) in _TYPES:
        (value,) = node.expressions
        return _loses(node, [value], f"try_cast({_sql(value)} AS {_function_name(node)})")
    if kind in _STRICT or _function_name(node) in _STRICT_FUNCTIONS:
        return _loses(node, [_as_written(part) for part in node.iter_expressions() if type(part).__name__ != "Var"])
    return None


def _cast(node: exp.Expr) -> Loss:
    whole = _loses(node, [node.this], f"try_cast({_sql(node.this)} AS {_sql(node.args['to'])})")
    if not is_nested(node.args["to"]):
        return whole
    return Loss(f"({whole.condition} OR {lost_inside(_sql(node.this), node.args['to'])})", whole.sql)


def _null_safe(node: exp.Expr) -> Loss:
    """A text that is no number equals no number, and NULL."""
    left, right = f"({_sql(node.this)})", f"({_sql(node.expression)})"
    one = f"({left} IS NULL) <> ({right} IS NULL) AND {left} <=> {right}"
    return Loss(f"({_loses(node, [node.this, node.expression], f'{left} = {right}').condition} OR ({one}))", _sql(node))


def _key(node: exp.Bracket) -> Loss | None:
    """A text is looked for among the keys of a map as a value of their type."""
    from sqlglot import exp

    (key,) = node.expressions
    if isinstance(key, exp.Literal):
        return None
    text, keys = f"string({_sql(key)})", f"typeof({_sql(node.this)}) RLIKE '^map<"
    lost = " OR ".join(f"({keys}({kinds})' AND try_cast({text} AS {kind}) IS NULL)" for kind, kinds in _KEYS.items())
    return Loss(f"({text} IS NOT NULL AND ({lost}))", _sql(node))


def _broken_json(node: exp.Expr) -> Loss:
    """Of a text that is no JSON, or has not what the schema says, `from_json` makes NULL, or an object of NULLs."""
    from sqlglot import exp

    text, schema, options = node.this, node.args["expression"], node.args.get("options")
    kind = schema.this.strip() if isinstance(schema, exp.Literal) else ""
    nested = _NESTED.match(kind)
    if not kind or (nested and nested[1].lower() != "struct"):
        return _loses(node, [text])
    fields = kind[nested.end() : -1] if nested else kind
    whole = exp.Literal.string(f"struct<{fields}, {_CORRUPT} STRING>").sql(_DIALECT)
    told = f"from_json({_sql(text)}, {whole}{', ' + _sql(options) if options else ''}).{_CORRUPT}"
    return Loss(f"({told} IS NOT NULL)", _sql(node))


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
    elif isinstance(node, exp.Nvl2):
        known = exp.Not(this=exp.Is(this=node.this.copy(), expression=exp.Null()))
        yield from _branches(exp.Case(ifs=[exp.If(this=known, true=node.args["true"])], default=node.args["false"]))
    elif isinstance(node, exp.DecodeCase):
        yield from _branches(_as_case(node))
    elif isinstance(node, exp.And | exp.Or):
        yield node.left, []
        yield node.right, [_holds(node.left, unknown=True) if isinstance(node, exp.And) else f"NOT {_holds(node.left)}"]
    else:
        strict = _function_name(node) in _STRICT_FUNCTIONS
        for part in node.iter_expressions():
            if not isinstance(part, exp.Lambda):
                yield (_as_written(part) if strict else part), []


def _as_case(decode: exp.DecodeCase) -> exp.Case:
    from sqlglot import exp

    value, *others = decode.expressions
    pairs = zip(others[::2], others[1::2], strict=False)
    ifs = [exp.If(this=exp.NullSafeEQ(this=value.copy(), expression=found), true=then) for found, then in pairs]
    return exp.Case(ifs=ifs, default=others[-1] if len(others) % 2 else None)


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
    """The losses in what is done with each item of an array or a map."""
    from sqlglot import exp

    pattern, parts = _OF_EACH_ITEM.get(_function_name(node)), list(node.iter_expressions())
    function = next((part for part in parts if isinstance(part, exp.Lambda)), None)
    if pattern is None or function is None:
        return
    others, given = [_sql(part) for part in parts if not isinstance(part, exp.Lambda)], _parameters(function)
    for loss in _losses(function.this):
        lost = pattern.format(others=", ".join(others), each=f"{given} -> {loss.condition}")
        yield Loss(f"coalesce(exists({lost}, lost -> lost), false)", loss.sql)


def _in_a_fold(node: exp.Reduce) -> Iterator[Loss]:
    """The losses in `aggregate(items, start, merge, finish)`.

    What is gathered is known on the way alone: so it is gathered again, with whether anything got lost up to there.
    """
    items, start = _sql(node.this), _sql(node.args["initial"])
    merge, finish = node.args["merge"], node.args.get("finish")
    gathered, item = map(_sql, merge.expressions)
    value = f"transform(array({_GATHERED}.value), {gathered} -> {_sql(merge.this)})[0]"
    begin = f"named_struct('value', get(array({start}, NULL), 0), 'lost', false)"  # a value that may be NULL
    for loss in _losses(merge.this):
        lost = f"{_GATHERED}.lost OR exists(array({_GATHERED}.value), {gathered} -> {loss.condition})"
        step = f"({_GATHERED}, {item}) -> named_struct('value', {value}, 'lost', {lost})"
        told = f"aggregate({items}, {begin}, {step}, {_GATHERED} -> {_GATHERED}.lost)"
        yield Loss(f"coalesce({told}, false)", loss.sql)
    if finish is not None:
        for loss in _losses(finish.this):
            end = f"{_parameters(finish)} -> {loss.condition}"
            yield Loss(f"coalesce(aggregate({items}, {start}, {_sql(merge)}, {end}), false)", loss.sql)


def _parameters(function: exp.Lambda) -> str:
    names = ", ".join(map(_sql, function.expressions))
    return f"({names})" if len(function.expressions) > 1 else names  # Spark takes one in brackets for a value


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
