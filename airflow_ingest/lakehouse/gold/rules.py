"""A gold table's rules, judged on its result before it is published."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.quality import batch_rules
from airflow_ingest.lakehouse.quality.results import Judgement
from airflow_ingest.lakehouse.quality.row_rules import failing_condition, outcome


def judge_result(name: str, gold: Gold, rows: DataFrame) -> Judgement:
    """What the rules of the gold table `name` say of `rows`: `block` if one of severity error is broken."""
    results = _evaluate(gold, rows)
    broken = any(not result.passed and result.severity == "error" for result in results)
    return Judgement(f"gold.{name}", "", 0, tuple(results), "block" if broken else "pass")


def _evaluate(gold: Gold, rows: DataFrame) -> list[RuleResult]:
    aggregates: dict[str, str] = {}
    for index, rule in enumerate(gold.quality.rules):
        if rule.scope == "row":
            aggregates[f"r{index}"] = f"count_if({failing_condition(rule)})"
            continue
        measures = batch_rules.measures(rule, index, "true")
        for column, sql in measures.columns.items():
            rows = rows.withColumn(column, F.expr(sql))
        aggregates.update(measures.aggregates)
    first, *others = (F.expr(sql).alias(alias) for alias, sql in aggregates.items())
    measured: dict[str, Any] = rows.agg(first, *others).collect()[0].asDict()
    return [
        batch_rules.judge(rule, index, measured) if rule.scope == "batch" else outcome(rule, int(measured[f"r{index}"]))
        for index, rule in enumerate(gold.quality.rules)
    ]
