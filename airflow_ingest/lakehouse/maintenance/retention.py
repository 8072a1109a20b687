"""How long files of older versions are kept: never shorter than is safe."""

from __future__ import annotations

import re
from datetime import timedelta

from airflow_ingest.config import format_duration
from airflow_ingest.lakehouse.errors import LakehouseError

SAFE = timedelta(days=7)
PROPERTY = "delta.deletedFileRetentionDuration"

_PART = re.compile(r"(\d+)\s*(second|minute|hour|day|week)s?", re.IGNORECASE)


def check_retention(retain: timedelta | None) -> None:
    """Raises LakehouseError if files would be kept for less than the seven days that are safe. None is the default."""
    if retain is not None and retain < SAFE:
        raise LakehouseError(
            f"Files of older versions cannot be removed after {format_duration(retain)} already: a load or a query "
            "that is still running may read them, tables that follow this one need them to go on, and `restore` to "
            f"go back. Nothing was removed. Keep them for {format_duration(SAFE)} (the default) or longer."
        )


def retention(table: str, retain: timedelta | None, written_down: str | None) -> timedelta:
    """How long VACUUM keeps the files of `table`: as asked for, or else as its property says, but never below SAFE.

    `written_down` is the table's PROPERTY. Raises LakehouseError if it asks for longer than `retain`.
    """
    check_retention(retain)
    own = _interval(written_down)
    if retain is not None and own is not None and retain < own:
        raise LakehouseError(
            f"{table} keeps the files of older versions for {format_duration(own)}: its property {PROPERTY} says so. "
            f"They cannot be removed after {format_duration(retain)}, and nothing was. Ask for {format_duration(own)} "
            "or longer, or change the property."
        )
    return retain or max(SAFE, own or SAFE)


def _interval(text: str | None) -> timedelta | None:
    """`interval 1 week 2 days` as Delta reads it; None for what is not understood, which VACUUM itself then checks."""
    parts = [timedelta(**{f"{unit.lower()}s": int(number)}) for number, unit in _PART.findall(text or "")]
    return sum(parts, timedelta()) if parts else None
