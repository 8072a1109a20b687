"""What a table waits for: one thing, and one that can be looked at."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.checks.delta import path_problem, table_problem
from airflow_ingest.config.checks.schedule import asset_problem
from airflow_ingest.config.report import Report
from airflow_ingest.config.values import KeyPath, one_of, quote
from airflow_ingest.config.wait import WAIT_KINDS


def check_wait(wait: dict[str, Any], at: KeyPath, report: Report, *, source: str, pipeline: str) -> None:
    """Check the plain data of `wait` of a table whose source is of the kind `source` (empty if that is not known)."""
    kinds = [kind for kind in WAIT_KINDS if wait.get(kind) is not None]
    if len(kinds) > 1:
        report.add(at, f"waits for {len(kinds)} things, {one_of(kinds, 'and')}", "Keep exactly one.", at_key=True)
    if not kinds and source not in ("", "files"):
        problem = f"wait looks for the source's files, and the source is {source}"
        report.add(at, problem, f"Say what to wait for: {one_of(WAIT_KINDS)}.", at_key=True)
    if wait.get("marker") is not None and kinds and "files" not in kinds:
        report.add((*at, "marker"), f"marker is for files, and this waits for {kinds[0]}", "Remove it.", at_key=True)
    if isinstance(marker := wait.get("marker"), str) and (not marker.strip() or "/" in marker):
        report.add((*at, "marker"), f"{quote(marker)} is not the name of a file", "Write it alone: _SUCCESS.")
    if "asset" in kinds and wait.get("mode") == "deferrable":
        problem = "the triggerer cannot look at asset events"
        report.add((*at, "mode"), problem, "Write mode: reschedule, or wait for the pipeline.")
    _check_files(wait.get("files"), (*at, "files"), report)
    _check_upstream(wait, at, report, pipeline)
    if isinstance(sql := wait.get("sql"), dict) and isinstance(query := sql.get("query"), str):
        _check_template(query, (*at, "sql", "query"), report)


def _check_upstream(wait: dict[str, Any], at: KeyPath, report: Report, pipeline: str) -> None:
    if isinstance(other := wait.get("pipeline"), str) and (not other.strip() or other == pipeline):
        problem = "must not be empty" if not other.strip() else f"{quote(other)} is this very pipeline"
        report.add((*at, "pipeline"), problem, "Name another pipeline or DAG.")
    if isinstance(asset := wait.get("asset"), str) and (found := asset_problem(asset, pipeline)):
        report.add((*at, "asset"), *found)
    if isinstance(delta := wait.get("delta"), str):
        found = path_problem(delta) if "/" in delta or not delta.strip() else table_problem(delta)
        if found:
            report.add((*at, "delta"), *found)


def _check_files(files: Any, at: KeyPath, report: Report) -> None:
    if files == []:
        report.add(at, "must not be empty", "Write a path or a glob.", at_key=True)
    if isinstance(files, str):
        _check_template(files, at, report)
    for index, file in enumerate(files if isinstance(files, list) else ()):
        if isinstance(file, str):
            _check_template(file, (*at, index), report)


def _check_template(text: str, at: KeyPath, report: Report) -> None:
    from airflow_ingest.config.templates import template_problem

    if not text.strip():
        report.add(at, "must not be empty")
    elif problem := template_problem(str(text)):
        report.add(at, *problem)
