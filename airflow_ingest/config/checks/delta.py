"""Which Delta table is read, and whether silver can tell its changes apart."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.checks.names import AUDIT_COLUMNS, check_either, check_expression, check_list, quote_part
from airflow_ingest.config.report import Report, block, is_absent, texts
from airflow_ingest.config.table import DeltaTable, Silver
from airflow_ingest.config.values import NAME, KeyPath, nearest, one_of, quote

LAYERS = ("bronze", "silver", "gold", "dlq")
ORDER = "Write sequence_by: [_commit_version, _change_type]."
_KEPT = AUDIT_COLUMNS - {"_deleted_at"}


def check_delta(delta: dict[str, Any], at: KeyPath, report: Report, mode: Any) -> None:
    """Check the plain data of `source.delta`, which is read in the extract mode `mode`."""
    if delta.get("starting_version") is not None and mode in ("interval", "full"):
        hint = "Remove it, or write mode: incremental."
        report.add(
            (*at, "starting_version"), f"starting_version has no use with extract mode {mode}", hint, at_key=True
        )
    check_either(delta, ("table", "path"), DeltaTable, at, report)
    if isinstance(table := delta.get("table"), str) and (problem := table_problem(table)):
        report.add((*at, "table"), *problem)
    if isinstance(path := delta.get("path"), str) and (problem := path_problem(path)):
        report.add((*at, "path"), *problem)
    check_list(delta, "columns", at, report, None)
    for index, name in texts(delta, "columns"):
        if name.casefold() in _KEPT:
            hint = "It tells of the source's own loads. `where` and `cursor` may read it."
            report.add((*at, "columns", index), f"the column {quote(name)} is written by every load", hint)
    check_expression(delta, "where", at, report)


def check_changes(silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Check the plain data of `silver` of a table that follows the changes of a Delta table."""
    if silver.get("load", "merge") not in ("merge", "insert", "scd2"):
        return
    if is_absent(silver, "sequence_by", Silver):
        problem = "one batch may change a key several times, and nothing says which change is the last"
        report.add(at, problem, ORDER, at_key=True)
    order = [name.casefold() for _, name in texts(silver, "sequence_by")]
    for index, name in enumerate(order):
        if name == "_commit_version" and order[index + 1 : index + 2] != ["_change_type"]:
            problem = "one commit may delete a key and insert it again, and _commit_version is the same for both"
            report.add((*at, "sequence_by"), problem, ORDER)


def check_foreign(tables: dict[str, Any], gold: dict[str, Any], report: Report) -> None:
    """Check that no table of the pipeline has one that the pipeline itself writes as its source."""
    published = [name for name, table in tables.items() if isinstance(table, dict) and table.get("silver") is not None]
    own = {"bronze": tables, "silver": published, "dlq": published, "gold": gold}
    for name, table in tables.items():
        read = block(block(table, "source"), "delta").get("table")
        layer, _, other = read.partition(".") if isinstance(read, str) else ("", "", "")
        if other in own.get(layer, ()):
            path = ("tables", name, "source", "delta", "table")
            hint = "Make this a gold table, or a table of another pipeline."
            report.add(path, f"this pipeline writes {quote(read)} itself, and a source is read before", hint)


def path_problem(path: str) -> tuple[str, str] | None:
    """What is wrong with where a Delta table lies, and a hint."""
    if not path.strip():
        return "must not be empty", "Write the folder or URL of a Delta table."
    if "{{" in path or "{%" in path:
        return "Jinja is rendered in source.files only", "The run's interval is what `extract` takes."
    return None


def table_problem(table: str) -> tuple[str, str] | None:
    """What is wrong with the name of a table of the lake, and a hint."""
    layer, dot, name = table.partition(".")
    if not dot or "." in name or "/" in table:
        hint = "Write its layer and its name, such as silver.orders; for a table elsewhere, path."
        return f"{quote(table)} names no table of the lake", hint
    if layer not in LAYERS:
        return f"there is no layer {quote_part(layer, table)}: {one_of(LAYERS)}", nearest(layer, LAYERS)
    if not NAME.match(name):
        return f"{quote(table)} cannot be the name of a table", "Names are lower-case letters, digits and _."
    return None
