"""One table: its source, how much of it a run takes, and how silver is loaded."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.checks.delta import check_changes, check_delta
from airflow_ingest.config.checks.jdbc import check_jdbc
from airflow_ingest.config.checks.names import Names
from airflow_ingest.config.checks.options import check_options
from airflow_ingest.config.checks.rules import check_rules
from airflow_ingest.config.checks.silver import check_silver, check_text_order, silver_columns
from airflow_ingest.config.checks.wait import check_wait
from airflow_ingest.config.report import Report, block, is_absent
from airflow_ingest.config.served import check_served
from airflow_ingest.config.table import Source
from airflow_ingest.config.values import KeyPath, one_of, quote

SOURCES = ("files", "jdbc", "rest", "kafka", "delta")
_WITHOUT_INTERVALS = ("@once", "@continuous")


def check_table(
    table: dict[str, Any], at: KeyPath, report: Report, *, schedule: Any = None, pipeline: str = ""
) -> None:
    """Check one table's plain data.

    :param schedule: the pipeline's schedule as the file has it.
    :param pipeline: the pipeline's name.
    """
    source = block(table, "source")
    kinds = [kind for kind in SOURCES if source.get(kind) is not None]
    if isinstance(table.get("source"), dict):
        _check_source(source, kinds, block(table, "extract").get("mode", "interval"), at, report)
    _check_extract(table, kinds, at, report, schedule)
    if isinstance(table.get("wait"), dict):
        first = kinds[0] if kinds else ""
        check_wait(table["wait"], (*at, "wait"), report, source=first, pipeline=pipeline)
    silver, quality = table.get("silver"), block(table, "quality")
    columns: Names | None = None
    if isinstance(silver, dict):
        columns = silver_columns(silver, f"silver.{at[-1]}" if at else "silver")
        check_silver(silver, (*at, "silver"), report, columns)
        _check_load(table, silver, at, report)
        _check_masked_cursor(table, silver, at, report)
        if kinds == ["files"] and source.get("format") == "csv":
            check_text_order(silver, (*at, "silver"), report)
        if kinds == ["delta"] and block(table, "extract").get("mode") == "incremental":
            check_changes(silver, (*at, "silver"), report)
    check_rules(quality, (*at, "quality"), report, columns)


def _check_source(source: dict[str, Any], kinds: list[str], mode: Any, at: KeyPath, report: Report) -> None:
    path = (*at, "source")
    if not kinds and source.keys() <= Source.model_fields.keys():
        report.add(path, f"names no source: it needs exactly one of {one_of(SOURCES)}", at_key=True)
    if len(kinds) > 1:
        report.add(path, f"names {len(kinds)} sources, {one_of(kinds, 'and')}", "Keep exactly one.", at_key=True)
    check_served("Source", source, path, report)
    if "files" in kinds and is_absent(source, "format", Source):
        report.add(path, 'the key "format" is missing', "Say what the files are: csv, json or parquet.", at_key=True)
    if kinds and "files" not in kinds and source.get("format") is not None:
        report.add((*path, "format"), f"format is for files, and the source is {kinds[0]}", "Remove it.", at_key=True)
    files = source.get("files")
    if isinstance(files, str):
        _check_files(files, (*path, "files"), report)
    if isinstance(source.get("jdbc"), dict):
        check_jdbc(source["jdbc"], (*path, "jdbc"), report)
    if isinstance(source.get("delta"), dict):
        check_delta(source["delta"], (*path, "delta"), report, mode)
    if kinds and "files" not in kinds and source.get("options"):
        report.add(
            (*path, "options"), f"options are for files, and the source is {kinds[0]}", "Remove it.", at_key=True
        )
    check_options(source, path, report)


def _check_files(files: str, path: KeyPath, report: Report) -> None:
    if not files.strip():
        report.add(path, "must not be empty", "Write a path or a glob.")
    elif "{{" in files or "{%" in files:
        from airflow_ingest.config.templates import template_problem

        if problem := template_problem(str(files)):
            report.add(path, *problem)
    elif "}}" in files:
        report.add(path, "a }} without its {{", "Write {{ name }}, as in {{ ds }}.")


def _check_extract(table: dict[str, Any], kinds: list[str], at: KeyPath, report: Report, schedule: Any) -> None:
    extract = block(table, "extract")
    mode = extract.get("mode", "interval")
    path = (*at, "extract")
    _check_cursor(extract, mode, kinds, path, report)
    if mode in ("interval", "full") and kinds == ["kafka"]:
        report.add(path, f"kafka cannot be read in mode {mode}", "Write mode: incremental.", at_key=True)
    if mode == "interval" and isinstance(schedule, str) and schedule in _WITHOUT_INTERVALS:
        problem = f"extract mode interval needs data intervals, and a pipeline scheduled {schedule} has none"
        report.add(path, problem, "Write extract: {mode: full}, or give the pipeline a cron schedule.", at_key=True)


def _check_cursor(extract: dict[str, Any], mode: Any, kinds: list[str], path: KeyPath, report: Report) -> None:
    by_cursor = kinds in (["jdbc"], ["delta"])
    needed = (mode == "incremental" and kinds in (["jdbc"], ["rest"])) or (mode == "interval" and by_cursor)
    cursor = extract.get("cursor")
    if needed and cursor is None:
        hint = (
            f"Name the time column that says which interval a row belongs to, or write {_other_modes(kinds[0])}."
            if mode == "interval"
            else "Name the column that says how far the table has got."
        )
        report.add(path, f"{mode} from {kinds[0]} needs a cursor", hint, at_key=True)
    if isinstance(cursor, str) and not cursor.strip():
        report.add((*path, "cursor"), "must not be empty", "Write a column's name.")
    if mode == "incremental" and kinds in (["files"], ["delta"]):
        for key in ("cursor", "lookback"):
            if extract.get(key) is not None:
                report.add((*path, key), f"{key} has no use with {_KNOWN_BY[kinds[0]]}", "Remove it.", at_key=True)
    useless = {"interval": ("lookback",) if by_cursor else ("cursor", "lookback"), "full": ("cursor", "lookback")}
    for key in useless.get(mode, ()) if isinstance(mode, str) else ():
        if extract.get(key) is not None:
            hint = "Remove it." if kinds == ["delta"] else "Remove it, or write mode: incremental."
            report.add((*path, key), f"{key} has no use with extract mode {mode}", hint, at_key=True)


_KNOWN_BY = {
    "files": "files: new ones are known by path, size and time",
    "delta": "a Delta table: what is new is known by its versions",
}


def _other_modes(kind: str) -> str:
    return "mode: incremental (what was committed since) or mode: full" if kind == "delta" else "mode: full"


def _check_load(table: dict[str, Any], silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    mode = block(table, "extract").get("mode", "interval")
    load = silver.get("load", "merge")
    path = (*at, "silver", "load")
    if mode == "incremental" and load in ("overwrite", "replace"):
        problem = f"load: {load} would drop what earlier increments brought"
        report.add(path, problem, "Use merge, insert, append or scd2; or extract: {mode: full}.")
    if block(table, "extract").get("lookback") and mode == "incremental" and not silver.get("keys"):
        problem = "lookback reads rows again, and without keys silver would have them twice"
        report.add((*at, "extract", "lookback"), problem, "Give silver its keys.", at_key=True)
    if mode == "full" and load == "append":
        problem = "load: append would add the whole source again at every run"
        report.add(path, problem, "Use overwrite or merge; or extract: {mode: interval}.")


def _check_masked_cursor(table: dict[str, Any], silver: dict[str, Any], at: KeyPath, report: Report) -> None:
    cursor = block(table, "extract").get("cursor")
    for name, column in block(silver, "columns").items():
        masked = isinstance(column, dict) and column.get("mask") is not None
        if masked and isinstance(cursor, str) and str(column.get("from") or name).casefold() == cursor.casefold():
            problem = f"the cursor {quote(cursor)} is masked, and how far the table has got is written down in clear"
            report.add((*at, "extract", "cursor"), problem, "Name another cursor, or take the mask off.")
