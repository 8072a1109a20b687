"""Silver: its columns, and the combinations of load and keys that make sense."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any

from airflow_ingest.config.checks.names import (
    AUDIT_COLUMNS,
    CHANGE_COLUMNS,
    Names,
    check_clustering,
    check_expression,
    check_list,
    report_sql,
)
from airflow_ingest.config.checks.types import type_problem, without_order
from airflow_ingest.config.report import Report, block, is_absent, texts
from airflow_ingest.config.table import Silver
from airflow_ingest.config.values import KeyPath, one_of, quote, unexpanded

_CHANGES = ("delete_when", "deletes", "operations", "images", "ignore_null_updates", "tombstone_retention")
_SOME_DAY = (datetime(2026, 1, 1, tzinfo=timezone.utc), datetime(2026, 1, 2, tzinfo=timezone.utc))
_FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z")


def silver_columns(silver: dict[str, Any], what: str) -> Names | None:
    """The columns of silver, or None where the source decides them."""
    columns, sql = silver.get("columns"), silver.get("sql")
    if columns is None and isinstance(sql, str):
        from airflow_ingest.config.batch_sql import parse_batch_query

        made = parse_batch_query(sql).columns
        return Names(made, what) if made and all(made) else None
    if not isinstance(columns, dict) or not columns or "*" in columns:
        return None
    return Names(columns, what)


def check_silver(silver: dict[str, Any], at: KeyPath, report: Report, columns: Names | None) -> None:
    """Check the plain data of a table's `silver`."""
    transform = silver.get("transform")
    if isinstance(transform, str) and not _FUNCTION.match(transform):
        report.add((*at, "transform"), f"{quote(transform)} names no function", "Write my_package.module:function.")
    _check_sql(silver, at, report)
    for key in ("where", "delete_when"):
        check_expression(silver, key, at, report)
    _check_replace_where(silver, at, report, columns)
    _check_operations(silver, at, report)
    _check_columns(silver, at, report)
    _check_masked_keys(silver, at, report)
    _check_order(silver, at, report)
    for key in ("keys", "partition_by", "cluster_by", "track"):
        check_list(silver, key, at, report, columns)
    check_list(silver, "sequence_by", at, report, None)  # may also name columns of the source
    check_clustering(silver, at, report)
    _check_load(silver, at, report)


def _check_sql(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    text = silver.get("sql")
    if not isinstance(text, str):
        return
    if silver.get("transform") is not None:
        report.add((*at, "sql"), "has a transform beside it, and a row is made by one of them", "Keep one of the two.")
    from airflow_ingest.config.batch_sql import parse_batch_query

    report_sql(parse_batch_query(text).problems, text, (*at, "sql"), report)


def _check_replace_where(silver: dict[str, Any], at: KeyPath, report: Report, columns: Names | None) -> None:
    """A condition over silver's columns, rendered from the batch's interval before Spark sees it."""
    text = silver.get("replace_where")
    if not isinstance(text, str):
        return
    if "{{" not in text and "{%" not in text:
        check_expression(silver, "replace_where", at, report, columns)
        return
    from airflow_ingest.config.sql import parse_expression
    from airflow_ingest.config.templates import TemplateError, render

    path = (*at, "replace_where")
    try:
        rendered = parse_expression(render(str(text), *_SOME_DAY))
    except TemplateError as error:
        report.add(path, unexpanded(text, str(error)), "It is rendered from the interval of each batch.")
        return
    for found in rendered.problems:
        report.add(path, unexpanded(text, f"once rendered: {found.problem}"), found.hint)
    if columns is not None:
        for name, _ in rendered.columns:
            columns.check(name, path, report)


def _check_operations(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    operations = block(silver, "operations")
    path = (*at, "operations")
    if operations and silver.get("delete_when"):
        report.add((*at, "delete_when"), "operations say already what deletes", "Keep one of the two.", at_key=True)
    kinds = {
        kind: operations[kind] for kind in ("insert", "update", "delete") if isinstance(operations.get(kind), list)
    }
    if operations and not any(kinds.values()):
        report.add(path, "names no operation", "Write which values mean insert, update or delete.", at_key=True)
    seen: dict[str, str] = {}
    for kind, values in kinds.items():
        for index, value in enumerate(values):
            other = seen.setdefault(str(value), kind)
            if other != kind:
                problem = f"{quote(str(value))} means {other} already"
                report.add((*path, kind, index), problem, "Keep it under one of them.")


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
    if column.get("mask") is not None:
        _check_mask(column, origins, path, report)


def _check_mask(column: dict[str, Any], origins: list[str], path: KeyPath, report: Report) -> None:
    """What is masked is hidden before bronze is written, so it is a column of the source, and text from then on."""
    derived = [key for key in origins if key != "from"]
    if derived:
        problem = f"mask hides a column of the source, and {derived[0]} makes a new value"
        report.add((*path, "mask"), problem, "Mask the columns that it reads: it then sees what is left of them.")
    kind = column.get("type")
    if isinstance(kind, str) and kind.strip().lower() != "string":
        report.add((*path, "type"), f"a masked value is text, not {quote(kind)}", "Write type: string.")


def _check_masked_keys(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Keys must stay apart, and a column of the source is hidden in one way."""
    columns = {name: column for name, column in block(silver, "columns").items() if isinstance(column, dict)}
    if block(silver, "images"):
        for name, column in columns.items():
            if column.get("mask") is not None:
                problem = "mask hides a column of the source, and this one is a field of its images"
                report.add((*at, "columns", name, "mask"), problem, "Have the source hide it before it is sent.")
    for index, key in texts(silver, "keys"):
        how = next((column.get("mask") for name, column in columns.items() if name.casefold() == key.casefold()), None)
        if how in ("redact", "partial"):
            problem = f"mask: {how} makes different keys the same"
            report.add((*at, "keys", index), problem, "Use mask: sha256, which keeps them apart.")
    ways: dict[str, tuple[str, Any]] = {}
    for name, column in block(silver, "columns").items():
        how = column.get("mask") if isinstance(column, dict) else None
        source = str((column.get("from") if isinstance(column, dict) else None) or name).casefold()
        if isinstance(column, dict) and (column.get("expr") or column.get("lookup")):
            continue
        other, earlier = ways.setdefault(source, (name, how))
        if earlier != how:
            problem = f"takes the same column of the source as {quote(other)}, which is masked otherwise"
            report.add((*at, "columns", name), problem, "Give both the same mask: the source is hidden once.")


def _check_order(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    """What tells rows apart, puts them in order or lays them out has values that compare."""
    kinds = {
        name.casefold(): column.get("type") if isinstance(column, dict) else column
        for name, column in block(silver, "columns").items()
    }
    for key in ("keys", "sequence_by", "partition_by", "cluster_by"):
        for index, name in texts(silver, key):
            kind = kinds.get(name.casefold())
            if isinstance(kind, str) and (found := without_order(kind)):
                problem = f"{quote(name)} is of the type {found}, whose values neither compare nor sort"
                hint = "Name columns of plain types, such as one that takes a part of it."
                report.add((*at, key, index), problem, hint)


def _check_load(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    load = silver.get("load", "merge")
    if not isinstance(load, str):
        return
    path = (*at, "load")
    if load in ("merge", "insert", "scd2") and is_absent(silver, "keys", Silver):
        hint = "Name the columns that identify a row in `keys`, or use load: overwrite."
        report.add(path, f"load: {load} needs keys", hint)
    if load == "append" and silver.get("keys"):
        hint = "Use merge, or insert for new keys alone; or remove keys."
        report.add(path, "load: append adds every row, so keys have no use", hint)
    if silver.get("sequence_by") and is_absent(silver, "keys", Silver) and load not in ("merge", "insert", "scd2"):
        problem = "sequence_by says which of two rows with one key is newer, and there are no keys"
        report.add((*at, "sequence_by"), problem, "Name the keys, or remove sequence_by.", at_key=True)
    if load == "scd2":
        _check_versions(silver, at, report)
    if load == "replace" and is_absent(silver, "replace_where", Silver):
        report.add(path, "load: replace needs replace_where", "Write the condition on the rows that it replaces.")
    _check_company(silver, load, at, report)


def check_text_order(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Of a source whose columns are all text, the order of rows is by a column that has a type, if only `string`."""
    if is_absent(silver, "keys", Silver) or any(silver.get(key) for key in ("transform", "sql", "images")):
        return
    columns = {name.casefold(): column for name, column in block(silver, "columns").items()}
    for index, name in texts(silver, "sequence_by"):
        column = columns.get(name.casefold())
        if (column is None and silver.get("load") != "scd2") or (
            isinstance(column, dict) and not {"type", "expr", "lookup"} & column.keys()
        ):
            problem = f"{quote(name)} is text in a CSV file, and as text '10' comes before '9'"
            hint = f"Give it a type: columns: {{{name}: timestamp, …}}; string, if it sorts right as it is."
            report.add((*at, "sequence_by", index), problem, hint)


def _check_versions(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    if is_absent(silver, "sequence_by", Silver):
        report.add((*at, "load"), "load: scd2 needs sequence_by", "Name the column that says when a version began.")
    if silver.get("deletes") == "soft":
        problem = "deletes: soft keeps deleted rows, and load: scd2 keeps every version anyway"
        report.add((*at, "deletes"), problem, "Remove it: a deletion ends the version that is valid.")
    taken = {"_valid_from", "_valid_to", "_current"}
    for name in block(silver, "columns"):
        if name.casefold() in taken:
            problem = f"the column {quote(name)} is written by load: scd2"
            report.add((*at, "columns", name), problem, "Choose another name.", at_key=True)
    keys = {name.casefold() for _, name in texts(silver, "keys")}
    for index, name in texts(silver, "track"):
        if name.casefold() in keys:
            problem = f"{quote(name)} is a key, which never changes"
            report.add((*at, "track", index), problem, "Name columns that change.")
    begins = next((name for _, name in texts(silver, "sequence_by")), None)
    columns = block(silver, "columns")
    if begins is not None and columns and "*" not in columns and begins not in columns:
        problem = f"{quote(begins)} says since when a version is valid, and is none of silver's columns"
        report.add((*at, "sequence_by", 0), problem, f"Give it a type: columns: {{{begins}: timestamp, …}}.")


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
