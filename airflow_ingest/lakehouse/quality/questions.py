"""What rules ask of rows, in one pass for the aggregates and one for each other query, and what they say then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.quality.batch_rules import (
    ANSWER,
    ERROR,
    SAMPLE,
    TWINS,
    Measures,
    alias,
    judge,
    looked_at,
    measures,
    not_worked_out,
)
from airflow_ingest.lakehouse.quality.row_rules import columns_of, outcome
from airflow_ingest.lakehouse.quality.samples import ENDS, sampled, shown
from airflow_ingest.lakehouse.quality.sql_rules import as_measure, asked_beside, query_of, unsound

Asked = tuple[int, Any, str]
"""A batch rule: its place among all rules, itself, and the condition on the rows that it looks at."""


@dataclass(frozen=True)
class Questions:
    """The `aggregates` to take over `rows`, by the names that `judge` knows.

    `of_rejected` are such as only rejected rows count for. `known` are answers already; `others` have an author's SQL
    that is no aggregate, and are asked beside.
    """

    rows: DataFrame
    aggregates: Mapping[str, str]
    known: Mapping[str, Any]
    others: tuple[Asked, ...]
    of_rejected: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Iterable[Asked], rows: DataFrame, unique: Collection[int] = ()) -> Questions:
        """The questions of `rules`; of those in `unique` it is known that no row has a twin."""
        found: dict[int, Measures] = {}
        others: list[Asked] = []
        for index, rule, base in rules:
            measured = Measures(looked_at(index, base)) if index in unique else measures(rule, index, base)
            if own := as_measure(rule, base):
                measured = replace(measured, aggregates={**measured.aggregates, alias(index, ANSWER): own})
            elif query_of(rule):
                others.append((index, rule, base))
            found[index] = measured
        refused = unsound(rows, found)
        sound = [measured for index, measured in found.items() if index not in refused]
        columns = {name: F.expr(sql) for measured in sound for name, sql in measured.columns.items()}
        aggregates = {name: sql for measured in sound for name, sql in measured.aggregates.items()}
        known = {alias(index, TWINS): 0 for index in unique} | _as_errors(refused)
        return cls(rows.withColumns(columns) if columns else rows, aggregates, known, tuple(others))

    def and_of_rows(
        self, aggregates: Mapping[str, str], refused: Mapping[int, str], of_rejected: Mapping[str, str] | None = None
    ) -> Questions:
        """These with the `aggregates` of rules on rows beside; those in `refused` cannot be worked out, and say why."""
        known = {**self.known, **_as_errors(refused)}
        return replace(self, aggregates={**aggregates, **self.aggregates}, known=known, of_rejected=of_rejected or {})

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
        return {**self.known, **asked_beside(self.rows, self.others, columns)}

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


def _as_errors(refused: Mapping[int, str]) -> dict[str, Any]:
    """What is known of the rules, by index, that cannot be worked out for the reasons given."""
    return {alias(index, ERROR): error for index, error in refused.items()}


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
    if error := measured.get(alias(index, ERROR)):
        return outcome(rule, 0).model_copy(update={"passed": False, "message": not_worked_out(error)})
    sample = shown([measured.get(_sample(index, end)) for end in ENDS])
    return outcome(rule, int(measured[failing(index)])).model_copy(update={"sample": sample})


def _sample(index: int, end: str) -> str:
    return f"{failing(index)}_{SAMPLE}_{end}"


def failing(index: int) -> str:
    """Under which name it is measured how many rows break the rule on rows with that `index`."""
    return f"r{index}"
