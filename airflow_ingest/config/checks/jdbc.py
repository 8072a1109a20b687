"""What a database is asked for."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.checks.names import check_either
from airflow_ingest.config.report import Report, is_absent, texts
from airflow_ingest.config.table import Jdbc
from airflow_ingest.config.values import KeyPath, quote


def check_jdbc(jdbc: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Check the plain data of `source.jdbc`."""
    check_either(jdbc, ("table", "query"), Jdbc, at, report)
    for key in ("conn_id", "table", "query", "where", "partition_column"):
        _check_text(jdbc, key, at, report)
    _check_columns(jdbc, at, report)
    _check_partitions(jdbc, at, report)


def _check_text(jdbc: dict[str, Any], key: str, at: KeyPath, report: Report) -> None:
    value = jdbc.get(key)
    if not isinstance(value, str):
        return
    if not value.strip():
        report.add((*at, key), "must not be empty")
    elif "{{" in value or "{%" in value:
        hint = "The run's interval is what `extract` takes, by its cursor." if key in ("query", "where") else ""
        report.add((*at, key), "Jinja is rendered in source.files only", hint)
    elif key in ("query", "where") and value.rstrip().endswith(";"):
        report.add((*at, key), 'ends with ";"', "Leave it out: it becomes a part of a longer query.")


def _check_columns(jdbc: dict[str, Any], at: KeyPath, report: Report) -> None:
    seen: set[str] = set()
    for index, name in texts(jdbc, "columns"):
        if name.lower() in seen:
            report.add((*at, "columns", index), f"{quote(name)} is there twice", "Remove one.")
        seen.add(name.lower())


def _check_partitions(jdbc: dict[str, Any], at: KeyPath, report: Report) -> None:
    column, count = jdbc.get("partition_column"), jdbc.get("partitions", 1)
    if column is not None and count == 1:
        problem = "partition_column has no use with one partition"
        report.add(
            (*at, "partition_column"), problem, "Say how many ranges to read side by side: partitions: 4.", at_key=True
        )
    if column is None and isinstance(count, int) and count > 1 and is_absent(jdbc, "partition_column", Jdbc):
        problem = "partitions needs a partition_column"
        report.add((*at, "partitions"), problem, "Name a number, date or time column to cut into ranges.", at_key=True)
    columns = [name for _, name in texts(jdbc, "columns")]
    if isinstance(column, str) and columns and column not in columns:
        problem = f"{quote(column)} is not among the columns that are read"
        report.add((*at, "partition_column"), problem, "Add it to columns.")
