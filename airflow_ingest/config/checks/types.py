"""Spark SQL's types."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from airflow_ingest.config.values import nearest, one_of, quote, words

_SIMPLE = words(
    "tinyint byte smallint short int integer bigint long float real double decimal dec numeric string boolean binary "
    "date timestamp timestamp_ntz timestamp_ltz variant"
)
_SIZED = re.compile(r"(?:(?:decimal|dec|numeric)\s*\(\s*\d+\s*(?:,\s*\d+\s*)?\)|(?:var)?char\s*\(\s*\d+\s*\))\Z", re.I)
_NESTED = re.compile(r"(array|map|struct)\s*<(.*)>\Z", re.I | re.S)
_FIELD = re.compile(r"\s*(?:`[^`]+`|\w+)\s*(?::|\s)\s*(.+)\Z", re.S)
_SIZES = {
    "dec": "Write decimal(precision, scale), such as decimal(10, 2).",
    "num": "Write decimal(precision, scale), such as decimal(10, 2).",
    "varchar": "Write varchar(length).",
    "char": "Write char(length).",
}
_ELSEWHERE = {
    "str": "string",
    "text": "string",
    "varchar": "string",
    "char": "string",
    "bool": "boolean",
    "datetime": "timestamp",
    "number": "decimal(18, 2)",
    "float64": "double",
    "int64": "bigint",
    "int32": "int",
    "json": "variant",
}


@lru_cache(maxsize=4096)
def type_problem(text: str) -> tuple[str, str] | None:
    """Return what is wrong with a type's name and a hint, or None if Spark has it."""
    name = text.strip()
    if name.lower() in _SIMPLE or _SIZED.match(name):
        return None
    if name.count("<") > 50:
        return f"{quote(text)} is nested too deeply", "Types may be nested 50 levels deep."
    if nested := _NESTED.match(name):
        return _nested_problem(nested[1].lower(), nested[2], text)
    known = _ELSEWHERE.get(name.lower())
    sized = next((right for word, right in _SIZES.items() if name.lower().startswith(word)), "")
    hint = f'Did you mean "{known}"?' if known else sized or nearest(name, _SIMPLE)
    return f"{quote(text)} is not a type of Spark SQL", hint or f"Types: {one_of(sorted(_SIMPLE))}."


def without_order(text: str) -> str:
    """Which type in `text` has values that Spark neither compares nor sorts; empty if there is none."""
    name = text.strip()
    if name.lower() == "variant":
        return "variant"
    nested = _NESTED.match(name)
    if nested is None or nested[1].lower() == "map":
        return "map" if nested else ""
    parts = list(_split(nested[2]))
    if nested[1].lower() == "struct":
        parts = [field[1] for part in parts if (field := _FIELD.match(part))]
    return next(filter(None, map(without_order, parts)), "")


def _nested_problem(kind: str, inner: str, text: str) -> tuple[str, str] | None:
    parts = list(_split(inner))
    if kind == "struct":
        fields = [_FIELD.match(part) for part in parts]
        if not all(fields):
            return f"{quote(text)} is not a type of Spark SQL", "A struct is written struct<name: type, …>."
        parts = [field[1] for field in fields if field]
    elif len(parts) != (2 if kind == "map" else 1):
        right = "map<key, value>" if kind == "map" else "array<type>"
        return f"{quote(text)} is not a type of Spark SQL", f"Write {right}."
    return next((found for part in parts if (found := type_problem(part.strip()))), None)


def _split(inner: str) -> Iterator[str]:
    """Split at the commas that stand outside of brackets."""
    depth, start = 0, 0
    for index, char in enumerate(inner):
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            yield inner[start:index]
            start = index + 1
    yield inner[start:]
