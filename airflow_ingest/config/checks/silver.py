"""Silver: its columns, and the combinations of load and keys that make sense."""

from __future__ import annotations

import re
from typing import Any

from airflow_ingest.config.checks.names import (
    AUDIT_COLUMNS,
    CHANGE_COLUMNS,
    Names,
    check_clustering,
    check_expression,
    check_list,
)
from airflow_ingest.config.checks.types import type_problem
from airflow_ingest.config.report import Report, block, is_absent
from airflow_ingest.config.served import check_served, check_served_value
from airflow_ingest.config.table import Silver
from airflow_ingest.config.values import KeyPath, one_of, quote, unexpanded

_CHANGES = ("delete_when", "deletes", "operations", "images", "ignore_null_updates", "tombstone_retention")
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


def silver_columns(silver: dict[str, Any], what: str) -> Names | None:
    """The columns of silver, or None where the source decides them."""
    columns = silver.get("columns")
    if not isinstance(columns, dict) or not columns or "*" in columns:
        return None
    return Names(columns, what)


def check_silver(silver: dict[str, Any], at: KeyPath, report: Report, columns: Names | None) -> None:
    """Check the plain data of a table's `silver`."""
    check_served("Silver", silver, at, report)
    transform = silver.get("transform")
    if isinstance(transform, str) and not _FUNCTION.match(transform):
        report.add((*at, "transform"), f"{quote(transform)} names no function", "Write my_package.module:function.")
    for key in ("where", "delete_when", "replace_where"):
        check_expression(silver, key, at, report)
    _check_columns(silver, at, report)
    for key in ("keys", "partition_by", "cluster_by", "track"):
        check_list(silver, key, at, report, columns)
    check_list(silver, "sequence_by", at, report, None)  # may also name columns of the source
    check_clustering(silver, at, report)
    _check_load(silver, at, report)


def _check_columns(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    columns = silver.get("columns")
    if columns == {}:
        report.add((*at, "columns"), "must not be empty", "Leave it out to take every column as it came.")
    seen: dict[str, str] = {}
    for name, column in block(silver, "columns").items():
        path = (*at, "columns", name)
        if name == "*":
            if column != "keep":
                report.add(path, f"must be keep, not {quote(column)}", "'*': keep  passes the other columns on.")
            continue
        if name.casefold() in AUDIT_COLUMNS:
            report.add(path, f"the column {quote(name)} is written by every load", "Choose another name.", at_key=True)
        if name.casefold() in CHANGE_COLUMNS:
            hint = f"Choose another name: {name.strip('_')}: {{from: {name}}}."
            report.add(path, f"the column {quote(name)} belongs to silver's own change feed", hint, at_key=True)
        if name.casefold() in seen:
            problem = f"{quote(name)} and {quote(seen[name.casefold()])} are one column to Spark"
            report.add(path, problem, "Choose another name.", at_key=True)
        seen[name.casefold()] = name
        _check_column({"type": column} if isinstance(column, str) else column, path, report)


def _check_column(column: Any, path: KeyPath, report: Report) -> None:
    if not isinstance(column, dict):
        return
    kind = column.get("type")
    if isinstance(kind, str) and (problem := type_problem(str(kind))):
        report.add((*path, "type"), unexpanded(kind, problem[0]), problem[1])
    origins = [key for key in ("expr", "from", "lookup") if column.get(key) is not None]
    if len(origins) > 1:
        report.add(path, f"has {one_of(origins, 'and')}, but a value has one origin", "Keep one of them.", at_key=True)
    check_expression(column, "expr", path, report)
    check_served("Column", column, path, report)


def _check_load(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    load = silver.get("load", "merge")
    if not isinstance(load, str):
        return
    path = (*at, "load")
    check_served_value("Silver", "load", load, path, report)
    check_served_value("Silver", "deletes", silver.get("deletes"), (*at, "deletes"), report)
    if load in ("merge", "insert", "scd2") and is_absent(silver, "keys", Silver):
        hint = "Name the columns that identify a row in `keys`, or use load: overwrite."
        report.add(path, f"load: {load} needs keys", hint)
    if load == "append" and silver.get("keys"):
        hint = "Use merge, or insert for new keys alone; or remove keys."
        report.add(path, "load: append adds every row, so keys have no use", hint)
    if silver.get("sequence_by") and is_absent(silver, "keys", Silver) and load not in ("merge", "insert", "scd2"):
        problem = "sequence_by says which of two rows with one key is newer, and there are no keys"
        report.add((*at, "sequence_by"), problem, "Name the keys, or remove sequence_by.", at_key=True)
    if load == "scd2" and is_absent(silver, "sequence_by", Silver):
        report.add(path, "load: scd2 needs sequence_by", "Name the column that says when a version began.")
    if load == "replace" and is_absent(silver, "replace_where", Silver):
        report.add(path, "load: replace needs replace_where", "Write the condition on the rows that it replaces.")
    _check_company(silver, load, at, report)


def _check_company(silver: dict[str, Any], load: str, at: KeyPath, report: Report) -> None:
    """Keys that only some loads can have beside them."""
    for keys, loads in ((("replace_where",), ("replace",)), (("track",), ("scd2",)), (_CHANGES, ("merge", "scd2"))):
        for key in keys:
            if silver.get(key) is not None and load not in loads and load in _LOADS:
                hint = f"Remove it, or use load: {one_of(loads)}."
                report.add((*at, key), f"{key} has no use with load: {load}", hint, at_key=True)
    if not (silver.get("delete_when") or silver.get("operations")):
        for key in ("deletes", "tombstone_retention"):
            if silver.get(key) is not None and load in ("merge", "scd2"):
                hint = "Say which rows are deletions: delete_when or operations."
                report.add((*at, key), f"{key} has no use where nothing deletes", hint, at_key=True)


_LOADS = ("append", "insert", "merge", "scd2", "overwrite", "replace")
