"""What installed packages bring under an entry point group."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from airflow_ingest.config.report import Report
from airflow_ingest.config.values import KeyPath


@cache
def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of `group`, by name."""
    return {found.name: found for found in entry_points(group=group)}


def loaded(entry: EntryPoint, what: str, at: KeyPath, report: Report, *, at_key: bool = False) -> Any:
    """The object behind `entry`; None, and a mistake in the report, if `what` it is cannot be loaded."""
    try:
        return entry.load()
    except Exception as error:
        problem = f"{what} cannot be loaded: {type(error).__name__}: {error}"
        report.add(at, problem, f"It is {entry.value}.", at_key=at_key)
        return None
