"""Columns and tables: do the names that a configuration mentions exist?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_ingest.config.block import Block
from airflow_ingest.config.report import Report, is_absent, texts
from airflow_ingest.config.sql import INVALID, Expression, SqlProblem, parse_expression
from airflow_ingest.config.values import Expanded, KeyPath, nearest, quote, words

AUDIT_COLUMNS = words(
    "_ingested_at _ingested_by _batch_id _sequence _deleted_at _bronze_ingestion_timestamp _source_file "
    "_source_system _processing_date _record_hash _run_id _corrupt_record _source_row _source_position"
)
CHANGE_COLUMNS = words("_change_type _commit_version _commit_timestamp")
MOST_CLUSTERED = 4


class Names:
    """The columns of a table as far as its configuration says; Spark does not tell upper from lower case."""

    def __init__(self, names: Iterable[str], what: str) -> None:
        self.names = tuple(names)
        self.what = what
        self._folded = {name.casefold() for name in self.names} | AUDIT_COLUMNS

    def check(self, name: str, path: KeyPath, report: Report, *, sql: tuple[str, int] | None = None) -> None:
        """Report `name` if it is none of the columns; with `sql`, at an offset of that text."""
        if name.casefold() in self._folded:
            return
        problem = f"there is no column {quote_part(name, sql[0]) if sql else quote(name)} in {self.what}"
        hint = nearest(name, self.names) or f"It has {', '.join(self.names)}."
        if sql is None:
            report.add(path, problem, hint)
        else:
            report.add_sql(path, sql[0], sql[1], problem, hint)


def quote_part(name: str, text: str) -> str:
    """Show a part of a text in a message, unless it came out of an environment variable."""
    return quote(name) if name in getattr(text, "raw", text) else "of that name"


def check_either(
    source: dict[str, Any], keys: tuple[str, str], model: type[Block], at: KeyPath, report: Report
) -> None:
    """Check that a source names what it reads by exactly one of two keys."""
    given = [key for key in keys if source.get(key) is not None]
    if len(given) == 2:
        report.add(at, f"names a {keys[0]} and a {keys[1]}", "Keep exactly one.", at_key=True)
    elif not given and all(is_absent(source, key, model) for key in keys):
        report.add(at, f"names nothing to read: it needs exactly one of {keys[0]} or {keys[1]}", at_key=True)


def check_list(block: dict[str, Any], key: str, at: KeyPath, report: Report, columns: Names | None) -> None:
    """Check a list of columns: each exists, none is there twice."""
    seen: set[str] = set()
    for index, name in texts(block, key):
        if name.casefold() in seen:
            report.add((*at, key, index), f"the column {quote(name)} is here twice", "Keep one of the two.")
        elif columns is not None:
            columns.check(name, (*at, key, index), report)
        seen.add(name.casefold())


def check_clustering(table: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Check that `cluster_by` stands alone and names no more columns than Delta clusters by."""
    if table.get("partition_by") and table.get("cluster_by"):
        report.add((*at, "cluster_by"), "cluster_by stands in the place of partition_by", "Keep one of the two.")
    columns = list(texts(table, "cluster_by"))
    if len(columns) > MOST_CLUSTERED:
        problem = f"Delta clusters by {MOST_CLUSTERED} columns at most, and these are {len(columns)}"
        report.add((*at, "cluster_by"), problem, "Keep those that queries filter on most.", at_key=True)


def check_expression(
    block: dict[str, Any],
    key: str,
    at: KeyPath,
    report: Report,
    columns: Names | None = None,
    *,
    aggregate: bool = False,
) -> Expression | None:
    """Check the SQL expression under `key`: its syntax, what it calls, and its columns. Returns it if it is sound."""
    text = block.get(key)
    if not isinstance(text, str):
        return None
    expression = parse_expression(text, aggregate=aggregate)
    report_sql(expression.problems, text, (*at, key), report)
    if columns is not None:
        for name, offset in expression.columns:
            columns.check(name, (*at, key), report, sql=(text, offset))
    return None if expression.problems else expression


def report_sql(problems: Iterable[SqlProblem], text: str, path: KeyPath, report: Report) -> None:
    """Report what is wrong with an SQL text, at its places in the file."""
    for problem in problems:
        hidden = isinstance(text, Expanded) and problem.problem.startswith(INVALID)
        told = f"{INVALID} once its environment variables are filled in" if hidden else problem.problem
        report.add_sql(path, text, problem.offset, told, "" if hidden else problem.hint)
