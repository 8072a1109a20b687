"""Batch rules: an aggregate to measure, and how to judge what it gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_ingest.config import NullRateRule, RowCountRule, UniqueRule
from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.sql import quote


@dataclass(frozen=True)
class Measures:
    """The aggregates of one rule, over rows for which `base` is true, and the columns that they need beforehand."""

    aggregates: Mapping[str, str]
    columns: Mapping[str, str]


def measures(rule: Any, index: int, base: str) -> Measures:
    """What has to be measured for the batch rule `rule`; `index` keeps the names of several rules apart."""
    rows = f"b{index}_rows"
    aggregates = {rows: f"count_if({base})"}
    columns: dict[str, str] = {}
    if isinstance(rule, NullRateRule):
        aggregates[f"b{index}_nulls"] = f"count_if({base} AND {quote(rule.null_rate.column)} IS NULL)"
    elif isinstance(rule, UniqueRule):
        flag = f"__b{index}_twins"
        keys = ", ".join([f"({base})", *(quote(name) for name in rule.unique)])
        columns[flag] = f"count(*) OVER (PARTITION BY {keys})"
        aggregates[f"b{index}_twins"] = f"count_if({base} AND {quote(flag)} > 1)"
    return Measures(aggregates, columns)


def judge(rule: Any, index: int, measured: Mapping[str, int]) -> RuleResult:
    """The outcome of `rule`, from what its aggregates gave."""
    rows = int(measured[f"b{index}_rows"] or 0)
    if isinstance(rule, RowCountRule):
        return _row_count(rule, rows)
    if isinstance(rule, NullRateRule):
        return _null_rate(rule, rows, int(measured[f"b{index}_nulls"] or 0))
    twins = int(measured[f"b{index}_twins"] or 0)
    message = f"{twins} rows share their ({', '.join(rule.unique)}) with another row" if twins else ""
    return _result(rule, passed=twins == 0, failing=twins, value=float(twins), threshold="0", message=message)


def _row_count(rule: RowCountRule, rows: int) -> RuleResult:
    low, high = rule.row_count.min, rule.row_count.max
    threshold = f"{low if low is not None else 0}..{high if high is not None else ''}"
    passed = (low is None or rows >= low) and (high is None or rows <= high)
    message = "" if passed else f"{rows} rows, expected {threshold}"
    return _result(rule, passed=passed, failing=0, value=float(rows), threshold=threshold, message=message)


def _null_rate(rule: NullRateRule, rows: int, nulls: int) -> RuleResult:
    rate = nulls / rows if rows else 0.0
    limit = rule.null_rate.max
    passed = rate <= limit
    message = "" if passed else f"{rate:.2%} of {rule.null_rate.column} is NULL, allowed {limit:.2%}"
    return _result(rule, passed=passed, failing=nulls, value=rate, threshold=f"{limit:g}", message=message)


def _result(rule: Any, *, passed: bool, failing: int, value: float, threshold: str, message: str) -> RuleResult:
    return RuleResult(
        name=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        passed=passed,
        failing=failing,
        value=value,
        threshold=threshold,
        message=message,
    )
