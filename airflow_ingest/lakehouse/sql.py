"""Names and values on their way into SQL text: always quoted."""

from __future__ import annotations

from datetime import date, datetime


def quote(name: str) -> str:
    """`name` as one quoted identifier."""
    return "`" + name.replace("`", "``") + "`"


def column(alias: str, name: str) -> str:
    """Column `name` of the relation `alias`."""
    return f"{alias}.{quote(name)}"


def table(path: str) -> str:
    """The Delta table at `path`, as a name for SQL."""
    return f"delta.{quote(path)}"


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
