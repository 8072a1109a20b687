"""What a cast to a nested type loses inside: an element, a field or a map's value that becomes NULL.

The value as a whole is there then, so nobody sees it from outside. It is compared, leaf by leaf, with the same value
whose leaves are text, which takes whatever comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

_DIALECT = "databricks"


def is_nested(kind: exp.DataType) -> bool:
    """Whether `kind` has other types inside."""
    return kind.this.name in ("ARRAY", "MAP", "STRUCT") and bool(kind.expressions)


def lost_inside(value: str, kind: exp.DataType) -> str:
    """SQL for whether the SQL `value` loses something inside by a cast to the nested type `kind`; never NULL."""
    return _lost(kind, f"try_cast({value} AS {_of_texts(kind)})", f"try_cast({value} AS {_sql(kind)})", 0)


def _of_texts(kind: exp.DataType) -> str:
    """`kind` with STRING in the place of what is not nested."""
    if not is_nested(kind):
        return "STRING"
    if kind.this.name == "STRUCT":
        return f"STRUCT<{', '.join(f'{name}: {_of_texts(inner)}' for name, inner in _fields(kind))}>"
    return f"{kind.this.name}<{', '.join(map(_of_texts, kind.expressions))}>"


def _lost(kind: exp.DataType, text: str, value: str, depth: int) -> str:
    gone = f"({text} IS NOT NULL AND {value} IS NULL)"
    if not is_nested(kind):
        return gone
    if kind.this.name == "STRUCT":
        parts = (_lost(inner, f"({text}).{name}", f"({value}).{name}", depth) for name, inner in _fields(kind))
        return f"({' OR '.join([gone, *parts])})"
    if kind.this.name == "MAP":
        text, value = f"map_values({text})", f"map_values({value})"
    pair = f"__text{depth}", f"__value{depth}"
    inside = _lost(kind.expressions[-1], *pair, depth + 1)
    found = f"exists(zip_with({text}, {value}, ({', '.join(pair)}) -> {inside}), lost -> lost)"
    return f"({gone} OR coalesce({found}, false))"


def _fields(kind: exp.DataType) -> list[tuple[str, exp.DataType]]:
    from sqlglot import exp

    return [(_sql(exp.to_identifier(field.name, quoted=True)), field.args["kind"]) for field in kind.expressions]


def _sql(node: exp.Expr) -> str:
    return node.sql(dialect=_DIALECT)
