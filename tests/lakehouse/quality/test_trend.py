"""What gates have returned, as the histories of rules."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_ingest.lakehouse.model import Batch, GateOutcome, RowCounts, RuleResult
from airflow_ingest.lakehouse.quality.trend import trend_of_gates

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


def gate(minute: int, batch_id: str, **failing: int) -> tuple[datetime, str, dict[str, Any]]:
    at = NOON + timedelta(minutes=minute)
    batch = Batch(table="orders", id=batch_id, generation=1, run_id="r", processing_date=NOON.date())
    rules = [
        RuleResult(name=name, kind="expect", severity="error", passed=not rows, failing=rows)
        for name, rows in failing.items()
    ]
    found = GateOutcome(table="orders", batch=batch, decision="pass", rows=RowCounts(read=10), rules=tuple(rules))
    return at, f"run {minute}", found.to_dict()


def test_each_rule_of_the_newest_gate_has_its_batches_in_order_the_last_judgement_of_each() -> None:
    found = trend_of_gates([gate(3, "b", small=1), gate(1, "a", small=5, gone=1), gate(2, "b", small=9)])
    (small,) = found
    assert (small.table, small.rule, small.severity) == ("orders", "small", "error")
    assert [(point.batch_id, point.failing, point.run_id) for point in small.points] == [
        ("a", 5, "run 1"),
        ("b", 1, "run 3"),
    ]
    assert [point.measure for point in small.points] == [0.5, 0.1]


def test_without_a_gate_there_is_nothing_to_tell() -> None:
    assert trend_of_gates([]) == ()
