"""What batch rules ask of rows: the aggregates of one pass, and the queries that need another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.quality.batch_rules import ANSWER, ERROR, alias, measures
from airflow_ingest.lakehouse.quality.sql_rules import as_measure, asked_beside, unsound

Asked = tuple[int, Any, str]
"""A batch rule: its place among all rules, itself, and the condition on the rows that it looks at."""


@dataclass(frozen=True)
class Questions:
    """The `aggregates` to take over `rows`, by the names that `judge` knows; `errors` are answers already."""

    rows: DataFrame
    aggregates: Mapping[str, str]
    errors: Mapping[str, str]

    @classmethod
    def of(cls, rules: Sequence[Asked], rows: DataFrame) -> Questions:
        """The questions of `rules`."""
        aggregates: dict[str, str] = {}
        authored: dict[int, str] = {}
        for index, rule, base in rules:
            found = measures(rule, index, base)
            for column, sql in found.columns.items():
                rows = rows.withColumn(column, F.expr(sql))
            aggregates |= found.aggregates
            if own := as_measure(rule, base):
                authored[index] = own
        refused = unsound(rows, authored)
        aggregates |= {alias(index, ANSWER): sql for index, sql in authored.items() if index not in refused}
        return cls(rows, aggregates, {alias(index, ERROR): error for index, error in refused.items()})

    def answers(self, rules: Sequence[Asked], columns: Sequence[str]) -> dict[str, Any]:
        """What is known without the aggregates: see `asked_beside`."""
        return {**self.errors, **asked_beside(self.rows, rules, columns)}
