"""Quality rules: their columns, bounds and expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pydantic_core import PydanticCustomError

from airflow_ingest.config.batch_sql import BATCH
from airflow_ingest.config.checks.names import Names, check_expression, check_list, quote_part, report_sql
from airflow_ingest.config.report import Report, block
from airflow_ingest.config.rules import RULES
from airflow_ingest.config.sql import has_aggregate, parse_query
from airflow_ingest.config.values import KeyPath, format_rate, parse_rate, quote

RATES = ("max_reject_rate", "alert_reject_rate", "min_pass_rate")
_WITH_COLUMN = frozenset({"accepted_values", "range", "pattern", "null_rate", "freshness", "relationships"})
# What neither Java nor Python takes as a regular expression; beyond these, their languages differ.
_BROKEN = ("unterminated character set", "missing ), unterminated subpattern", "unbalanced parenthesis")


def check_rules(quality: dict[str, Any], at: KeyPath, report: Report, columns: Names | None) -> None:
    """Check the rates and rules of a table whose columns are `columns` (None: not known)."""
    _check_rates(quality, at, report)
    check_each(quality.get("rules"), (*at, "rules"), report, columns)


def check_each(rules: Any, at: KeyPath, report: Report, columns: Names | None) -> None:
    """Check a list of rules on a table whose columns are `columns` (None: not known)."""
    for index, rule in each_rule(rules):
        kinds = rule.keys() & RULES.keys()
        if len(kinds) == 1:
            _check_rule(rule, next(iter(kinds)), (*at, index), report, columns)


def each_rule(rules: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Those of a list of rules that are mappings, each with its place among all."""
    return ((i, rule) for i, rule in enumerate(rules if isinstance(rules, list) else ()) if isinstance(rule, dict))


def _check_rates(quality: dict[str, Any], at: KeyPath, report: Report) -> None:
    try:
        alert, limit = parse_rate(quality["alert_reject_rate"]), parse_rate(quality["max_reject_rate"])
    except (KeyError, PydanticCustomError):
        return
    if alert >= limit:
        problem = f"nobody is warned at {format_rate(alert)}: the batch is held from {format_rate(limit)} on"
        report.add((*at, "alert_reject_rate"), problem, "Write a rate below max_reject_rate.")


def _check_rule(rule: dict[str, Any], kind: str, at: KeyPath, report: Report, columns: Names | None) -> None:
    body = block(rule, kind)
    column = body.get("column")
    if kind in _WITH_COLUMN and isinstance(column, str) and columns is not None:
        columns.check(column, (*at, kind, "column"), report)
    if kind in _BODIES:
        _BODIES[kind](body, (*at, kind), report)
    elif kind == "expect":
        check_expression(rule, "expect", at, report, columns)
    elif kind == "unique":
        check_list(rule, "unique", at, report, columns)
    elif kind == "duplicate_rate":
        check_list(body, "columns", (*at, kind), report, columns)
    elif kind == "sql":
        _check_query(rule, at, report)
    elif kind == "drift":
        _check_metric(body, (*at, kind), report, columns)


def _check_metric(drift: dict[str, Any], at: KeyPath, report: Report, columns: Names | None) -> None:
    metric = drift.get("metric")
    if metric == "row_count" or not isinstance(metric, str):
        return
    expression = check_expression(drift, "metric", at, report, columns, aggregate=True)
    if expression is not None and not has_aggregate(metric):
        hint = "Write row_count, or an aggregate such as avg(amount)."
        report.add((*at, "metric"), f"{quote(metric)} has a value for each row", hint)


def _check_query(rule: dict[str, Any], at: KeyPath, report: Report) -> None:
    text = rule.get("sql")
    if not isinstance(text, str):
        return
    query = parse_query(text)
    report_sql(query.problems, text, (*at, "sql"), report)
    for table, offset in query.places:
        if table.casefold() != BATCH:
            problem = f"the query of a rule reads the batch alone, not {quote_part(table, text)}"
            report.add_sql((*at, "sql"), text, offset, problem, "Write SELECT … FROM batch.")


def _check_bounds(bounds: dict[str, Any], at: KeyPath, report: Report) -> None:
    low, high = bounds.get("min"), bounds.get("max")
    if low is None and high is None:
        if bounds.keys() <= {"column", "min", "max"}:
            report.add(at, "says neither min nor max", "Give it one of them, or both.", at_key=True)
        return
    if low is None or high is None:
        return
    try:
        empty = low > high
    except TypeError:
        report.add(at, f"min {quote(low)} and max {quote(high)} cannot be compared", "Write both in the same way.")
        return
    if empty:
        report.add(at, f"min {quote(low)} is above max {quote(high)}: every row fails", "Swap them.")


def _check_regex(pattern: dict[str, Any], at: KeyPath, report: Report) -> None:
    regex = pattern.get("regex")
    if not isinstance(regex, str) or "\\Q" in regex:
        return
    try:
        re.compile(regex)
    except re.error as error:
        if error.msg in _BROKEN:
            report.add((*at, "regex"), f"not a regular expression: {error.msg} at character {(error.pos or 0) + 1}")


def _check_values(accepted: dict[str, Any], at: KeyPath, report: Report) -> None:
    values = accepted.get("values")
    for index, value in enumerate(values if isinstance(values, list) else ()):
        path = (*at, "values", index)
        if isinstance(value, bool) and (source := report.source_of(path)) not in (None, "true", "false"):
            report.add(path, f"YAML reads {source} as a boolean", f'Write "{source}" in quotes.')


_BODIES: dict[str, Callable[[dict[str, Any], KeyPath, Report], None]] = {
    "range": _check_bounds,
    "row_count": _check_bounds,
    "pattern": _check_regex,
    "accepted_values": _check_values,
}
