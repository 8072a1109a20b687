"""What a row does to its key, where the source says so: a condition, or a column with an operation."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.silver.projection import Check
from airflow_ingest.lakehouse.sql import literal, quote

UNKNOWN = "operation"


def deletes(silver: Silver) -> str:
    """The condition, never NULL, under which a row is the deletion of its key."""
    if silver.operations is not None:
        return f"coalesce({_is_one_of(silver.operations.column, silver.operations.delete)}, false)"
    return f"coalesce(({silver.delete_when}), false)" if silver.delete_when else "false"


def unknown_operations(silver: Silver) -> list[Check]:
    """A row whose operation means nothing is rejected; where only deletions are named, every other one writes."""
    named = silver.operations
    if named is None or not (named.insert or named.update):
        return []
    known = _is_one_of(named.column, [*named.insert, *named.update, *named.delete])
    message = f"concat('no operation of ours: ', coalesce(cast({quote(named.column)} AS STRING), 'NULL'))"
    return [Check(UNKNOWN, named.column, f"NOT coalesce({known}, false)", message)]


def _is_one_of(column: str, values: Sequence[object]) -> str:
    if not values:
        return "false"
    texts = ", ".join(literal(str(value).lower() if isinstance(value, bool) else str(value)) for value in values)
    return f"cast({quote(column)} AS STRING) IN ({texts})"
