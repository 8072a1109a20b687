"""The history of rules, as the results that were written down tell it."""

from __future__ import annotations

import pytest

from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.quality.history import quality_history
from airflow_ingest.lakehouse.quality.results import Judgement, record
from tests.lakehouse.conftest import Workbench, run


@pytest.mark.slow
@pytest.mark.spark
def test_the_newest_judgement_of_a_table_says_which_rules_it_has_and_repeats_count_once(bench: Workbench) -> None:
    def judged(table: str, batch: str, **failing: int) -> None:
        rules = [
            RuleResult(name=name, kind="expect", severity="error", passed=not rows, failing=rows)
            for name, rows in failing.items()
        ]
        record(bench.spark, bench.lake, run(1), Judgement(table, batch, 1, tuple(rules), "pass", rows_read=10))

    judged("orders", "a", small=5, gone=1)
    judged("orders", "b", small=4)
    judged("orders", "b", small=3)
    judged("others", "a", small=1, gone=2)

    found = quality_history(bench.spark, bench.lake, ["orders", "others"])

    assert [(rule.table, rule.rule, [point.failing for point in rule.points]) for rule in found] == [
        ("orders", "small", [5, 3]),
        ("others", "gone", [2]),
        ("others", "small", [1]),
    ]
    (newest,) = quality_history(bench.spark, bench.lake, ["orders"], runs=1)
    assert [point.measure for point in newest.points] == [0.3]
