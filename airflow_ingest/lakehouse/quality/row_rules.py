"""Row rules as SQL conditions over silver's columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_ingest.config import AcceptedValuesRule, ExpectRule, PatternRule, RangeRule, RelationshipsRule
from airflow_ingest.config.sql import parse_expression
from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.silver.lookups import known_as
from airflow_ingest.lakehouse.sql import literal, quote


def failing_condition(rule: Any) -> str:
    """SQL that is true for a row that breaks `rule`, and false (never NULL) for every other.

    An `expect` has to be true, so NULL breaks it; the other kinds judge values, so NULL passes. A value that does not
    compare, such as a text with a number, breaks them.
    """
    return _CONDITIONS[type(rule)](rule)


def columns_of(rule: Any) -> tuple[str, ...]:
    """The columns that a rule on rows looks at."""
    if isinstance(rule, ExpectRule):
        named = (name for name, _ in parse_expression(rule.expect).columns)
        return tuple({name.lower(): name for name in named}.values())
    return tuple(rule.columns)


def outcome(rule: Any, failing: int) -> RuleResult:
    """The outcome of `rule` on a batch in which `failing` rows break it."""
    return RuleResult(
        name=rule.name,
        kind=rule.kind,
        severity=rule.severity,
        passed=failing == 0,
        failing=failing,
        message=f"{failing} rows break it" if failing else "",
    )


def _expect(rule: ExpectRule) -> str:
    return f"NOT coalesce(({rule.expect}), false)"


def _accepted_values(rule: AcceptedValuesRule) -> str:
    spec = rule.accepted_values
    values = ", ".join(literal(value) for value in spec.values)
    return _of_value(spec.column, f"{quote(spec.column)} NOT IN ({values})")


def _range(rule: RangeRule) -> str:
    spec = rule.range
    bounds = [(spec.min, "<"), (spec.max, ">")]
    outside = [f"{quote(spec.column)} {sign} {literal(bound)}" for bound, sign in bounds if bound is not None]
    return _of_value(spec.column, " OR ".join(outside))


def _pattern(rule: PatternRule) -> str:
    spec = rule.pattern
    return _of_value(spec.column, f"NOT {quote(spec.column)} RLIKE {literal(spec.regex)}")


def _of_value(column: str, broken: str) -> str:
    return f"coalesce({broken}, {quote(column)} IS NOT NULL)"


def _relationships(rule: RelationshipsRule) -> str:
    return f"({quote(rule.relationships.column)} IS NOT NULL AND {quote(known_as(rule.name))} IS NULL)"


_CONDITIONS: dict[type, Callable[[Any], str]] = {
    ExpectRule: _expect,
    AcceptedValuesRule: _accepted_values,
    RangeRule: _range,
    PatternRule: _pattern,
    RelationshipsRule: _relationships,
}
