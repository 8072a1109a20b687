"""The file as a whole: its name, its schedule, and how its tables hang together."""

from __future__ import annotations

import re
from typing import Any

from airflow_ingest.config.checks.alerts import check_alerts
from airflow_ingest.config.checks.cycles import cycles
from airflow_ingest.config.checks.delta import check_foreign
from airflow_ingest.config.checks.dimensions import VERSIONED
from airflow_ingest.config.checks.gold import check_gold, gold_columns, gold_inputs
from airflow_ingest.config.checks.lookups import check_lookups
from airflow_ingest.config.checks.names import Names
from airflow_ingest.config.checks.rules import check_each
from airflow_ingest.config.checks.schedule import check_schedule
from airflow_ingest.config.checks.silver import silver_columns
from airflow_ingest.config.checks.table import check_table
from airflow_ingest.config.errors import IngestError
from airflow_ingest.config.report import Report, block
from airflow_ingest.config.values import NAME, KeyPath, parse_duration, quote

_PIPELINE = re.compile(r"[A-Za-z0-9_-]{1,200}\Z")


def check_pipeline(data: dict[str, Any], report: Report, stem: str) -> None:
    """Check the plain data of a whole file, whose name without its ending is `stem`."""
    _check_name(data, stem, report)
    schedule = data.get("schedule")
    check_schedule(data, report)
    check_alerts(data, report)
    lake = data.get("lake")
    if isinstance(lake, str) and ("{{" in lake or not lake.strip()):
        report.add(("lake",), "Jinja is rendered in source.files only" if lake.strip() else "must not be empty")
    _check_retries(block(data, "retries"), report)
    for name, rules in block(data, "rule_packs").items():
        check_each(rules, ("rule_packs", name), report, None)
    tables = block(data, "tables")
    for name, table in tables.items():
        _check_table_name(name, ("tables", name), report)
        if name == "gold":
            report.add(
                ("tables", name), '"gold" is the name of the group of gold tables', "Choose another.", at_key=True
            )
        if isinstance(table, dict):
            check_table(table, ("tables", name), report, schedule=schedule, pipeline=str(data.get("pipeline")))
    gold = block(data, "gold")
    check_foreign(tables, gold, report)
    lake = _lake(tables, gold)
    check_lookups(tables, lake, report)
    _check_all_gold(gold, lake, report)


def _check_all_gold(gold: dict[str, Any], lake: dict[str, Names | None], report: Report) -> None:
    for name, table in gold.items():
        _check_table_name(name, ("gold", name), report)
        if isinstance(table, dict):
            check_gold(table, ("gold", name), report, lake)
    inputs = {name: _gold_before(table) for name, table in gold.items() if isinstance(table, dict)}
    for cycle in cycles(inputs):
        shown = " → ".join(f"gold.{name}" for name in (*cycle, cycle[0]))
        report.add(("gold", cycle[0]), f"reads its own result: {shown}", "Break the circle.", at_key=True)


def _lake(tables: dict[str, Any], gold: dict[str, Any]) -> dict[str, Names | None]:
    """Every table that SQL could mean, with its columns; `bronze.<t>` marks a table that stops there."""
    lake: dict[str, Names | None] = {}
    for name, table in tables.items():
        silver = table.get("silver") if isinstance(table, dict) else None
        layer = "bronze" if silver is None else "silver"
        lake[f"{layer}.{name}"] = _published(silver, f"silver.{name}") if isinstance(silver, dict) else None
    for name, table in gold.items():
        lake[f"gold.{name}"] = gold_columns(table, f"gold.{name}") if isinstance(table, dict) else None
    return lake


def _published(silver: dict[str, Any], what: str) -> Names | None:
    columns = silver_columns(silver, what)
    if columns is None or silver.get("load") != "scd2":
        return columns
    return Names((*columns.names, *VERSIONED, "_current"), what)


def _gold_before(table: dict[str, Any]) -> list[str]:
    return [name.removeprefix("gold.") for name in gold_inputs(table) if name.startswith("gold.")]


def _check_name(data: dict[str, Any], stem: str, report: Report) -> None:
    name = data.get("pipeline")
    if not isinstance(name, str):
        return
    if not _PIPELINE.match(name):
        hint = "Use letters, digits, _ and -, at most 200."
        report.add(("pipeline",), f"{quote(name)} cannot be the name of a pipeline", hint)
    elif name != stem:
        hint = f"Write  pipeline: {stem}, or rename the file."
        report.add(("pipeline",), f"{quote(name)} is not the file's name, {quote(stem)}", hint)


def _check_table_name(name: str, path: KeyPath, report: Report) -> None:
    if not NAME.match(name):
        hint = "Use lower-case letters, digits and _, beginning with a letter."
        report.add(path, f"{quote(name)} cannot be the name of a table", hint, at_key=True)


def _check_retries(retries: dict[str, Any], report: Report) -> None:
    try:
        delay, longest = parse_duration(retries["delay"]), parse_duration(retries["max_delay"])
    except (KeyError, ValueError, IngestError):
        return
    if delay > longest:
        report.add(("retries", "max_delay"), "is shorter than delay", "The delay grows from `delay` to `max_delay`.")
