"""What rules ask of rows, in one pass for the aggregates and one for each other query, and what they say then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.quality.batch_rules import ANSWER, ERROR, SAMPLE, alias, judge, measures
from airflow_ingest.lakehouse.quality.row_rules import columns_of, outcome
from airflow_ingest.lakehouse.quality.samples import ENDS, sampled, shown
from airflow_ingest.lakehouse.quality.sql_rules import as_measure, asked_beside, query_of, unsound

Asked = tuple[int, Any, str]
"""A batch rule: its place among all rules, itself, and the condition on the rows that it looks at."""


@dataclass(frozen=True)
class Questions:
    """The `aggregates` to take over `rows`, by the names that `judge` knows.

    `of_rejected` are such as only rejected rows count for. `errors` are answers already; `others` have an author's SQL
    that is no aggregate, and are asked beside.
    """

    rows: DataFrame
    aggregates: Mapping[str, str]
    errors: Mapping[str, str]
    others: tuple[Asked, ...]
    of_rejected: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Iterable[Asked], rows: DataFrame) -> Questions:
        """The questions of `rules`."""
        aggregates: dict[str, str] = {}
        authored: dict[int, str] = {}
        others: list[Asked] = []
        for asked in rules:
            index, rule, base = asked
            found = measures(rule, index, base)
            for column, sql in found.columns.items():
                rows = rows.withColumn(column, F.expr(sql))
            aggregates |= found.aggregates
            if own := as_measure(rule, base):
                authored[index] = own
            elif query_of(rule):
                others.append(asked)
        refused = unsound(rows, authored)
        aggregates |= {alias(index, ANSWER): sql for index, sql in authored.items() if index not in refused}
        errors = {alias(index, ERROR): error for index, error in refused.items()}
        return cls(rows, aggregates, errors, tuple(others))

    @property
    def of_all(self) -> list[Column]:
        """The aggregates over all rows."""
        return _as_columns(self.aggregates)

    @property
    def of_the_rejected(self) -> list[Column]:
        """The aggregates for which rejected rows will do."""
        return _as_columns(self.of_rejected)

    def asked_beside(self, columns: Sequence[str]) -> dict[str, Any]:
        """What is known without the aggregates: see `lakehouse.quality.sql_rules.asked_beside`."""
        return {**self.errors, **asked_beside(self.rows, self.others, columns)}

    def answers(self, columns: Sequence[str]) -> dict[str, Any]:
        """All that was asked, in a pass for the aggregates and one for each of the others."""
        return {**self.of_rows(self.rows), **self.asked_beside(columns)}

    def of_rows(self, rows: DataFrame) -> dict[str, Any]:
        """What the aggregates give over `rows`, which are those asked about, whatever stands beside them."""
        return self.told(rows.agg(*self.of_all, *self.of_the_rejected).collect()[0].asDict())

    def told(self, measured: Mapping[str, Any]) -> dict[str, Any]:
        """What was `measured` for the columns, under all the names that ask for the same."""
        asked = {**self.aggregates, **self.of_rejected}
        known = {asked[name]: value for name, value in measured.items()}
        return {name: known[sql] for name, sql in asked.items()}


def _as_columns(aggregates: Mapping[str, str]) -> list[Column]:
    """A column for each aggregate, once, under the first of its names."""
    first = {sql: name for name, sql in reversed(list(aggregates.items()))}
    return [F.expr(sql).alias(name) for sql, name in first.items()]


def of_row(rule: Any, index: int, broken: str) -> dict[str, str]:
    """What is asked for a rule on rows, which those break for which `broken` holds: how many do, and a few of them."""
    columns = columns_of(rule)
    sample = sampled(columns, broken) if columns else {}
    return {failing(index): f"count_if({broken})", **{_sample(index, end): sql for end, sql in sample.items()}}


def results(
    rules: Sequence[Any],
    measured: Mapping[str, Any],
    moment: datetime,
    past: Mapping[str, Sequence[float]],
    seconds: float = 0.0,
) -> list[RuleResult]:
    """The outcome of each of `rules`, by what was `measured` for it as `of_row` and `Questions` ask.

    `seconds` is what the pass took that answered those without a query of their own.
    """
    found = [
        judge(rule, index, measured, moment, past.get(rule.name, ()))
        if rule.scope == "batch"
        else _of_rows(rule, index, measured)
        for index, rule in enumerate(rules)
    ]
    return [result if result.seconds else result.model_copy(update={"seconds": seconds}) for result in found]


def _of_rows(rule: Any, index: int, measured: Mapping[str, Any]) -> RuleResult:
    sample = shown([measured.get(_sample(index, end)) for end in ENDS])
    return outcome(rule, int(measured[failing(index)])).model_copy(update={"sample": sample})


def _sample(index: int, end: str) -> str:
    return f"{failing(index)}_{SAMPLE}_{end}"


def failing(index: int) -> str:
    """Under which name it is measured how many rows break the rule on rows with that `index`."""
    return f"r{index}"
