"""Dimensional models: a date dimension, what is looked up in dimensions, and surrogate keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_ingest.config.checks.lake import Lake, table_problem
from airflow_ingest.config.checks.names import AUDIT_COLUMNS, Names, check_list
from airflow_ingest.config.gold import Dimension
from airflow_ingest.config.report import Report, block, is_absent
from airflow_ingest.config.values import KeyPath, one_of, parse_day, quote

VERSIONED = ("_valid_from", "_valid_to")


def made_columns(gold: dict[str, Any]) -> Iterator[tuple[str, KeyPath]]:
    """The columns that a gold table has beside its query's, with their places."""
    for key in ("dimensions", "surrogate_key"):
        for name in block(gold, key):
            yield name, (key, name)


def check_dimensional(
    gold: dict[str, Any], at: KeyPath, report: Report, lake: Lake | None, columns: Names | None
) -> None:
    """Check what makes a gold table a fact or a dimension.

    :param columns: those that its query gives; None if not known.
    """
    _check_dates(block(gold, "dates"), (*at, "dates"), report)
    _check_names(gold, at, report, columns)
    dimensions = block(gold, "dimensions")
    for name in dimensions:
        _check_dimension(name, block(dimensions, name), (*at, "dimensions", name), report, lake, columns)
    hashed = None if columns is None else Names((*columns.names, *dimensions), columns.what)
    for name in block(gold, "surrogate_key"):
        check_list(block(gold, "surrogate_key"), name, (*at, "surrogate_key"), report, hashed)


def _check_dates(dates: dict[str, Any], at: KeyPath, report: Report) -> None:
    try:
        first, last = parse_day(dates["from"]), parse_day(dates["to"])
    except (KeyError, ValueError):
        return
    if first > last:
        report.add((*at, "to"), f"{last} is before {first}, where the days begin", "Swap them.")


def _check_names(gold: dict[str, Any], at: KeyPath, report: Report, columns: Names | None) -> None:
    taken = {name.casefold() for name in columns.names} if columns else set()
    for name, path in made_columns(gold):
        if name.casefold() in AUDIT_COLUMNS:
            problem = f"the column {quote(name)} is written by every load"
            report.add((*at, *path), problem, "Choose another name.", at_key=True)
        elif name.casefold() in taken:
            report.add((*at, *path), f"there is a column {quote(name)} already", "Choose another name.", at_key=True)
        taken.add(name.casefold())


def _check_dimension(
    name: str, dimension: dict[str, Any], at: KeyPath, report: Report, lake: Lake | None, columns: Names | None
) -> None:
    given = {key: value for key, value in dimension.items() if isinstance(value, str)}
    table = given.get("table", "")
    if "table" in given and (unreadable := table_problem(table, lake)):
        report.add((*at, "table"), *unreadable)
    for key in ("by" if "by" in given else "key", "at"):
        if columns is not None and key in given:
            columns.check(given[key], (*at, key), report)
    theirs = (lake or {}).get(table)
    if theirs is None:
        return
    if "key" in given:
        theirs.check(given["key"], (*at, "key"), report)
    if "take" in given:
        theirs.check(given["take"], (*at, "take"), report)
    elif is_absent(dimension, "take", Dimension):
        theirs.check(name, at, report)
    if "at" in given and not set(VERSIONED) <= set(theirs.names):
        problem = f"{theirs.what} has no versions: no columns {one_of(VERSIONED, 'and')}"
        report.add((*at, "at"), problem, "Remove it, or load its silver by scd2.", at_key=True)
