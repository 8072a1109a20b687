"""Names and values on their way into SQL text: always quoted."""

from __future__ import annotations

from datetime import date, datetime

EXACT_JSON = {
    "timeZone": "UTC",
    "timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX",
    "timestampNTZFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS",
    "ignoreNullFields": "true",
}
"""Options of `to_json` under which other values give another text, whatever the session's settings."""


def quote(name: str) -> str:
    """`name` as one quoted identifier."""
    return "`" + name.replace("`", "``") + "`"


def column(alias: str, name: str) -> str:
    """Column `name` of the relation `alias`."""
    return f"{alias}.{quote(name)}"


def table(path: str) -> str:
    """The Delta table at `path`, as a name for SQL."""
    return f"delta.{quote(path)}"


def as_text(value: str) -> str:
    """The SQL of the text that means `value`, SQL of any plain type, to a comparison in every session.

    A time has its zone beside it: in a zone with summer time, an hour a year comes twice. Bytes mean no text: NULL.
    """
    zoned = "map('timeZone', 'UTC', 'timestampFormat', 'yyyy-MM-dd HH:mm:ss.SSSSSSXXX')"
    time = f"get_json_object(to_json(struct({value} AS v), {zoned}), '$.v')"
    return f"CASE typeof({value}) WHEN 'timestamp' THEN {time} WHEN 'binary' THEN NULL ELSE cast({value} AS STRING) END"


def as_json(value: str) -> str:
    """The SQL of a JSON text that tells `value`, SQL of any type, from every other value of its type."""
    options = ", ".join(f'"{name}", "{said}"' for name, said in EXACT_JSON.items())
    return f"to_json(struct({value}), map({options}))"


def literal(value: str | float | date | datetime | None) -> str:
    """`value` as a SQL literal.

    >>> literal("it's")
    "'it\\\\'s'"
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, datetime):
        return f"TIMESTAMP'{value.isoformat(sep=' ')}'"
    if isinstance(value, date):
        return f"DATE'{value.isoformat()}'"
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
