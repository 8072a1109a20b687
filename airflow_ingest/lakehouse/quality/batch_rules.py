"""Batch rules: what each kind measures in the gate's one pass, and how it judges what was found.

A rule whose measure has no value, or could not be worked out, does not hold; one on the rows of an empty batch does,
for nothing in it is wrong (`row_count` says whether it may be empty).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from math import isclose, isfinite
from numbers import Number
from statistics import fmean, stdev
from typing import Any

from airflow_ingest.config import (
    DriftRule,
    DuplicateRateRule,
    FreshnessRule,
    NullRateRule,
    RowCountRule,
    SqlRule,
    UniqueRule,
)
from airflow_ingest.config.values import format_duration
from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.quality.samples import sampled, shown
from airflow_ingest.lakehouse.sql import quote

ROW_COUNT = "row_count"
ANSWER, ERROR, SECONDS, SAMPLE, TWINS = "answer", "error", "seconds", "sample", "twins"
"""What an author's SQL gave, why there is nothing, what it took, some rows that break a rule, how many have a twin."""
_TIME = "%Y-%m-%d %H:%M:%S %Z"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""The years 1 to 9999 in microseconds: Python's; Spark has more, such as what milliseconds read as seconds come to."""
_FEWEST = 2
"""Earlier values without which nothing can drift."""


@dataclass(frozen=True)
class Measures:
    """The aggregates of one rule, over rows for which `base` is true, and the columns that they need beforehand."""

    aggregates: Mapping[str, str]
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a rule judges by.

    - `rows`: how many it looked at; `values`: what its aggregates gave, by their names without the rule's own part
    - `moment`: when the batch ends; `past`: the rule's own values in earlier batches, the newest first
    """

    rows: int
    values: Mapping[str, Any]
    moment: datetime
    past: Sequence[float] = ()


@dataclass(frozen=True)
class Verdict:
    """Whether a rule holds, and what was found."""

    passed: bool
    message: str
    value: float | None
    threshold: str
    failing: int = 0


def not_worked_out(why: str) -> str:
    """What is said of a rule that has no answer, and so does not hold."""
    return f"it cannot be worked out: {why}"


def alias(index: int, name: str) -> str:
    """Under which name something is measured for the rule with that `index`, which keeps several apart."""
    return f"b{index}_{name}"


def measures(rule: Any, index: int, base: str) -> Measures:
    """What has to be measured for the batch rule `rule`."""
    found = _MEASURES[type(rule)](rule, base, f"__{alias(index, '')}") if type(rule) in _MEASURES else Measures({})
    aggregates = {alias(index, name): sql for name, sql in found.aggregates.items()}
    return Measures({**looked_at(index, base), **aggregates}, found.columns)


def looked_at(index: int, base: str) -> dict[str, str]:
    """The aggregate that says how many rows a rule looks at."""
    return {alias(index, "rows"): f"count_if({base})"}


def judge(
    rule: Any, index: int, measured: Mapping[str, Any], moment: datetime, past: Sequence[float] = ()
) -> RuleResult:
    """The outcome of `rule`, from what its aggregates gave; see `Found`."""
    own = alias(index, "")
    values = {name.removeprefix(own): value for name, value in measured.items() if name.startswith(own)}
    if error := values.get(ERROR):
        verdict = Verdict(False, not_worked_out(error), None, "")
    else:
        verdict = _JUDGES[type(rule)](rule, Found(int(values["rows"] or 0), values, moment, past))
    return RuleResult(
        name=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        passed=verdict.passed,
        failing=verdict.failing,
        value=verdict.value,
        threshold=verdict.threshold,
        message="" if verdict.passed else verdict.message,
        sample=() if verdict.passed else shown([values[name] for name in sorted(values) if name.startswith(SAMPLE)]),
        seconds=values.get(SECONDS, 0.0),
    )


def _row_count(rule: RowCountRule, found: Found) -> Verdict:
    low, high = rule.row_count.min, rule.row_count.max
    threshold = f"{low if low is not None else 0}..{high if high is not None else ''}"
    passed = (low is None or found.rows >= low) and (high is None or found.rows <= high)
    return Verdict(passed, f"{found.rows} rows, expected {threshold}", float(found.rows), threshold)


def _count_nulls(rule: NullRateRule, base: str, _: str) -> Measures:
    return Measures({"nulls": f"count_if({base} AND {quote(rule.null_rate.column)} IS NULL)"})


def _null_rate(rule: NullRateRule, found: Found) -> Verdict:
    nulls, limit = int(found.values["nulls"] or 0), rule.null_rate.max
    rate = nulls / found.rows if found.rows else 0.0
    message = f"{rate:.2%} of {rule.null_rate.column} is NULL, allowed {limit:.2%}"
    return Verdict(rate <= limit, message, rate, f"{limit:g}", nulls)


def _alike(columns: Sequence[str], base: str) -> str:
    """How many rows are like a row in `columns`, NULLs too."""
    return f"count(*) OVER (PARTITION BY {', '.join([*map(quote, columns), f'({base})'])})"


def _sample(columns: Sequence[str], broken: str) -> dict[str, str]:
    return {f"{SAMPLE}_{end}": sql for end, sql in sampled(columns, broken).items()}


def _count_twins(rule: UniqueRule, base: str, own: str) -> Measures:
    alike = f"{own}alike"
    twins = f"{base} AND {quote(alike)} > 1"
    found = {TWINS: f"count_if({twins})", **_sample(rule.unique, twins)}
    return Measures(found, {alike: _alike(rule.unique, base)})


def _unique(rule: UniqueRule, found: Found) -> Verdict:
    twins = int(found.values[TWINS] or 0)
    message = f"{twins} rows share their ({', '.join(rule.unique)}) with another row"
    return Verdict(twins == 0, message, float(twins), "0", twins)


def _count_distinct(rule: DuplicateRateRule, base: str, own: str) -> Measures:
    alike = f"{own}alike"
    each = f"CASE WHEN {base} THEN 1.0D / {quote(alike)} END"
    columns = rule.duplicate_rate.columns
    found = {"distinct": f"sum({each})", **_sample(columns, f"{base} AND {quote(alike)} > 1")}
    return Measures(found, {alike: _alike(columns, base)})


def _duplicate_rate(rule: DuplicateRateRule, found: Found) -> Verdict:
    spec, repeated = rule.duplicate_rate, found.rows - round(found.values["distinct"] or 0)
    rate = repeated / found.rows if found.rows else 0.0
    message = f"{rate:.2%} of the rows repeat another's ({', '.join(spec.columns)}), allowed {spec.max:.2%}"
    return Verdict(rate <= spec.max, message, rate, f"{spec.max:g}", repeated)


def _find_newest(rule: FreshnessRule, base: str, _: str) -> Measures:
    newest = f"max(CASE WHEN {base} THEN try_cast({quote(rule.freshness.column)} AS TIMESTAMP) END)"
    return Measures({"newest": f"unix_micros({newest})"})


def _freshness(rule: FreshnessRule, found: Found) -> Verdict:
    spec, newest = rule.freshness, found.values["newest"]
    threshold = format_duration(spec.max_age)
    if newest is None:
        return Verdict(found.rows == 0, f"{spec.column} has no value in {found.rows} rows", None, threshold)
    at = _EPOCH + timedelta(microseconds=min(max(int(newest), _FIRST), _LAST))
    age = found.moment - at
    message = f"the newest {spec.column} is {at:{_TIME}}, older than {threshold} at {found.moment:{_TIME}}"
    return Verdict(age <= spec.max_age, message, age.total_seconds(), threshold)


def _drift(rule: DriftRule, found: Found) -> Verdict:
    spec, past = rule.drift, found.past[: rule.drift.runs]
    answer = found.rows if spec.metric == ROW_COUNT else found.values.get(ANSWER)
    if answer is None:
        return Verdict(found.rows == 0, f"{spec.metric} has no value in {found.rows} rows", None, "")
    if not isinstance(answer, Number) or not isfinite(value := float(answer)):  # type: ignore[arg-type]
        return Verdict(False, f"{spec.metric} is {answer}, which is no finite number", None, "")
    if len(past) < _FEWEST:
        return Verdict(True, "", value, f"{len(past)} earlier values")
    mean, off = fmean(past), spec.sigmas * stdev(past)
    was = f"in the last {len(past)} batches it was {mean:g} ± {off:g} ({spec.sigmas:g} sigmas)"
    message = f"{spec.metric} is {value:g}; {was}"
    near = abs(value - mean) <= off or isclose(value, mean)  # equal values have a mean that is rounded
    return Verdict(near, message, value, f"{mean - off:g}..{mean + off:g}")


def _sql(rule: SqlRule, found: Found) -> Verdict:
    holds = found.values.get(ANSWER)
    return Verdict(holds is True, f"its query gives {'NULL' if holds is None else holds}, not true", None, "true")


_MEASURES: dict[type, Callable[[Any, str, str], Measures]] = {
    NullRateRule: _count_nulls,
    UniqueRule: _count_twins,
    DuplicateRateRule: _count_distinct,
    FreshnessRule: _find_newest,
}
_JUDGES: dict[type, Callable[[Any, Found], Verdict]] = {
    RowCountRule: _row_count,
    NullRateRule: _null_rate,
    UniqueRule: _unique,
    DuplicateRateRule: _duplicate_rate,
    FreshnessRule: _freshness,
    DriftRule: _drift,
    SqlRule: _sql,
}
