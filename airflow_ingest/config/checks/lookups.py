"""Lookups: which table a column takes its value from, and by what; and which tables silver's SQL joins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from airflow_ingest.config.checks.cycles import cycles
from airflow_ingest.config.checks.names import Names, quote_part
from airflow_ingest.config.checks.rules import each_rule
from airflow_ingest.config.report import Report, block
from airflow_ingest.config.values import KeyPath, nearest, quote


def check_lookups(tables: dict[str, Any], lake: Mapping[str, Names | None], report: Report) -> None:
    """Check the lookups of all tables' plain data.

    :param lake: the tables of the pipeline, such as `silver.flights`, and their columns; None if not known.
    """
    reads: dict[str, list[str]] = {name: [] for name in tables}
    for name, spec, path in (*_related(tables), *((name, spec, path) for name, _, spec, path in _lookups(tables))):
        table = spec.get("table")
        if isinstance(table, str) and (problem := _table_problem(table, lake)):
            report.add((*path, "table"), *problem)
        elif isinstance(table, str):
            reads[name].append(table.removeprefix("silver."))
            _check_columns(spec, lake[table], path, report)
    for name, column, lookup, path in _lookups(tables):
        _check_key(tables[name], column, lookup, path, report)
    for name, table, text, offset in _joined(tables):
        path = ("tables", name, "silver", "sql")
        if problem := _table_problem(table, lake):
            report.add_sql(path, text, offset, problem[0].replace(quote(table), quote_part(table, text)), problem[1])
        else:
            reads[name].append(table.removeprefix("silver."))
    for cycle in cycles(reads):
        shown = " → ".join((*cycle, cycle[0]))
        report.add(("tables", cycle[0]), f"looks itself up: {shown}", "Break the circle.", at_key=True)


def _check_columns(spec: dict[str, Any], theirs: Names | None, path: KeyPath, report: Report) -> None:
    for key in ("key", "take"):
        if theirs is not None and isinstance(spec.get(key), str):
            theirs.check(spec[key], (*path, key), report)


def _lookups(tables: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], KeyPath]]:
    for name, table in tables.items():
        columns = block(block(table, "silver"), "columns") if isinstance(table, dict) else {}
        for column in columns:
            lookup = block(block(columns, column), "lookup")
            if lookup:
                yield name, column, lookup, ("tables", name, "silver", "columns", column, "lookup")


def _related(tables: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], KeyPath]]:
    """The relationships that the rules of tables name."""
    for name, table in tables.items():
        for index, rule in each_rule(block(table, "quality").get("rules")) if isinstance(table, dict) else ():
            if related := block(rule, "relationships"):
                yield name, related, ("tables", name, "quality", "rules", index, "relationships")


def _joined(tables: dict[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    """Each table that the SQL of a table's silver reads besides its batch, with the text and where it stands there."""
    for name, table in tables.items():
        text = block(table, "silver").get("sql") if isinstance(table, dict) else None
        if isinstance(text, str):
            from airflow_ingest.config.batch_sql import parse_batch_query

            yield from ((name, other, text, offset) for other, offset in parse_batch_query(text).places)


def _table_problem(table: str, lake: Mapping[str, Names | None]) -> tuple[str, str] | None:
    if table in lake and table.startswith("silver."):
        return None
    name = table.rpartition(".")[2]
    if table.startswith("gold."):
        return f"silver reads silver, and {quote(table)} is made after it", "Join it in a gold table instead."
    if f"bronze.{name}" in lake:
        return f"{quote(name)} stops at bronze", f"Give {name} a silver."
    silver = [known for known in lake if known.startswith("silver.")]
    return f"there is no table {quote(table)}", nearest(table, silver) or f"Tables: {', '.join(silver)}."


def _check_key(table: dict[str, Any], name: str, lookup: dict[str, Any], path: KeyPath, report: Report) -> None:
    key = lookup.get("key")
    column = block(block(table["silver"], "columns"), key) if isinstance(key, str) else {}
    if column.get("lookup"):
        problem = f"{quote(str(key))} is looked up itself, so {quote(name)} cannot be looked up by it"
        report.add((*path, "key"), problem, "Take both from one table, or join them in gold.")
