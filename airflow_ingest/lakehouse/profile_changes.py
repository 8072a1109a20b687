"""What is different between two profiles of one table."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from airflow_ingest.lakehouse.model import Value
from airflow_ingest.lakehouse.profile_book import ColumnProfile, TableProfile


class ColumnChange(Value):
    """What became of a column; each pair is the value before and the value now, None where it stayed as it was."""

    name: str
    kind: Literal["added", "removed", "changed"]
    type: tuple[str, str] | None = None
    null_rate: tuple[float | None, float | None] | None = None
    distinct: tuple[int | None, int | None] | None = None


class ProfileChange(Value):
    """What changed since the profile of an earlier `version`, taken `at`. `columns` are those that changed alone."""

    version: int
    at: AwareDatetime
    rows: tuple[int, int]
    columns: tuple[ColumnChange, ...]


def changes_since(before: TableProfile, now: TableProfile) -> ProfileChange:
    """How `now` differs from `before`: rows, and each column's type, null rate and distinct values.

    Nothing of a column's values is told, which may have been shown before and be hidden now.
    """
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in now.columns}
    changed = [_change(old[name], column) for name, column in new.items() if name in old]
    return ProfileChange(
        version=before.version,
        at=before.at,
        rows=(before.rows, now.rows),
        columns=(
            *(change for change in changed if change),
            *(ColumnChange(name=name, kind="added") for name in new if name not in old),
            *(ColumnChange(name=name, kind="removed") for name in old if name not in new),
        ),
    )


def _change(old: ColumnProfile, new: ColumnProfile) -> ColumnChange | None:
    found = ColumnChange(
        name=new.name,
        kind="changed",
        type=(old.type, new.type) if old.type != new.type else None,
        null_rate=(old.null_rate, new.null_rate) if old.null_rate != new.null_rate else None,
        distinct=(old.distinct, new.distinct) if old.distinct != new.distinct else None,
    )
    return found if found.type or found.null_rate or found.distinct else None
