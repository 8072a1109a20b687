"""A gold table's rules, judged on its result before it is published."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from pyspark.sql import DataFrame

from airflow_ingest.config import Gold, Quality
from airflow_ingest.config.rules import AnyRule
from airflow_ingest.lakehouse.model import Decision, RuleResult
from airflow_ingest.lakehouse.quality.batch_rules import Measures
from airflow_ingest.lakehouse.quality.questions import Questions, of_row, results
from airflow_ingest.lakehouse.quality.results import Judgement
from airflow_ingest.lakehouse.quality.row_rules import failing_condition
from airflow_ingest.lakehouse.quality.sql_rules import unsound

_ROWS = "rows"


def judge_result(
    name: str,
    gold: Gold,
    rows: DataFrame,
    moment: datetime,
    past: Mapping[str, Sequence[float]],
    beside: DataFrame | None = None,
) -> Judgement:
    """What the rules of the gold table `name` say of its new `rows`: `block` if one of severity error is broken,
    `warn` if one of severity warning is.

    `beside` are the rows of the table that stay as they are. A rule on the whole sees both; those on rows let them
    pass when they were new. With `load: merge` its keys are among the rules: no two new rows have the same ones, and
    none has a NULL in them. For `moment` and `past` see `lakehouse.quality.batch_rules.Found`.
    """
    of_new: list[AnyRule] = [*_on_keys(gold), *gold.quality.rules]
    of_all: list[AnyRule] = []
    if beside is not None:
        of_all = [rule for rule in gold.quality.rules if rule.scope == "batch"]
        of_new = [rule for rule in of_new if rule not in of_all]
    count, results = _evaluate(of_new, rows, moment, past)
    if beside is not None and of_all:
        results += _evaluate(of_all, rows.unionByName(beside, allowMissingColumns=True), moment, past)[1]
    failed = {result.severity for result in results if not result.passed}
    decision: Decision = "block" if "error" in failed else "warn" if "warning" in failed else "pass"
    return Judgement(f"gold.{name}", "", 0, tuple(results), decision, rows_read=count)


def _on_keys(gold: Gold) -> list[AnyRule]:
    if gold.load != "merge":
        return []
    named = [{"name": f"keys: no NULL in {key}", "null_rate": {"column": key, "max": 0}} for key in gold.keys]
    return Quality.model_validate({"rules": [{"name": "keys", "unique": gold.keys}, *named]}).rules


def _evaluate(
    rules: Sequence[AnyRule], rows: DataFrame, moment: datetime, past: Mapping[str, Sequence[float]]
) -> tuple[int, list[RuleResult]]:
    asked = Questions.of(((n, rule, "true") for n, rule in enumerate(rules) if rule.scope == "batch"), rows)
    of_rows = {n: of_row(rule, n, failing_condition(rule)) for n, rule in enumerate(rules) if rule.scope == "row"}
    refused = unsound(rows, {n: Measures(aggregates) for n, aggregates in of_rows.items()})
    aggregates = {_ROWS: "count(1)"}
    for n in of_rows.keys() - refused.keys():
        aggregates |= of_rows[n]
    asked = asked.and_of_rows(aggregates, refused)
    began = time.monotonic()
    measured = asked.answers(rows.columns)
    return int(measured[_ROWS]), results(rules, measured, moment, past, time.monotonic() - began)
