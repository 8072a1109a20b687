"""Rules that cannot be worked out: each is broken and says why, and what came is judged by the others."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse import RulesBroken, SchemaMismatch, merge_silver, quality_gate, replay_dlq
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

GOOD = {"name": "small", "expect": "amount < 10"}
ABSENT = {"name": "absent", "expect": "gone > 1"}


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "a column that is not there": ({"expect": "gone > 1"}, "name `gone` cannot be resolved"),
    "no condition": ({"expect": "amount + 1"}, "should all be the same type"),
    "an aggregate": ({"expect": "sum(amount) > 1"}, "another aggregate"),
    "several": ({"expect": "explode(array(1)) > 0"}, "generator is not supported"),
    "no such function": ({"expect": "no_such(amount) > 1"}, "routine `no_such`"),
    "a range": ({"range": {"column": "gone", "min": 1}}, "name `gone` cannot be resolved"),
    "unique": ({"unique": ["gone"]}, "name `gone` cannot be resolved"),
    "unique, of maps": ({"unique": ["counts"]}, "cannot be sorted"),
    "duplicates, of maps": ({"duplicate_rate": {"columns": ["counts"], "max": 0}}, "cannot be sorted"),
    "freshness of no time": ({"freshness": {"column": "counts", "max_age": "1d"}}, "cast"),
    "NULLs": ({"null_rate": {"column": "gone", "max": 0}}, "name `gone` cannot be resolved"),
    "drift": ({"drift": {"metric": "sum(gone)"}}, "name `gone` cannot be resolved"),
}
"""Rules, and a part of what is said of each."""


@pytest.mark.parametrize("severity", ["error", pytest.param("warning", marks=pytest.mark.slow)])
def test_each_is_broken_and_says_why_and_the_others_judge_what_came(bench: Workbench, severity: str) -> None:
    columns = {"id": "int", "amount": "int", "counts": {"expr": "map(note, 1)"}}
    bad = [{"name": name, "severity": severity, **rule} for name, (rule, _) in BAD.items()]
    quality = {"max_reject_rate": "100%", "rules": [*bad, GOOD]}
    table = csv_table({"columns": columns, "keys": ["id"], "sequence_by": []}, quality=quality)
    gate = bench.gate(table, bench.ingest(table, bench.write("1.csv", "id,amount,note\n1,2,x\n2,20,y\n")))

    *broken, good = gate.rules
    for rule, (name, (_, why)) in zip(broken, BAD.items(), strict=True):
        assert (rule.name, rule.passed) == (name, False)
        assert rule.message.startswith("it cannot be worked out: ")
        assert why in rule.message
        assert "\n" not in rule.message
        assert any(rule.message in reason for reason in gate.reasons)
    assert (good.failing, gate.rejections) == (1, {"small": 1})
    assert gate.decision == ("block" if severity == "error" else "warn")


@pytest.mark.slow
def test_what_was_released_is_loaded_without_it_and_nothing_else_is(bench: Workbench) -> None:
    table = csv_table(quality={"max_reject_rate": "100%", "rules": [ABSENT, GOOD]})
    gate = bench.gate(table, bench.ingest(table, bench.write("1.csv", "id,amount,note\n1,2,x\n2,20,y\n")))
    with pytest.raises(SchemaMismatch, match=r"rule absent: it cannot be worked out: .* Nothing was changed"):
        bench.merge(table, gate)
    with pytest.raises(SchemaMismatch, match="rule absent"):
        merge_silver(bench.spark, bench.lake, "orders", table, run(1), gate.batch)

    batch = gate.batch.model_copy(update={"released": True})
    released = quality_gate(bench.spark, bench.lake, "orders", table, run(1), batch)
    assert released.decision == "warn"
    assert bench.merge(table, released).rows.inserted == 1
    with pytest.raises(SchemaMismatch, match="rule absent"):
        replay_dlq(bench.spark, bench.lake, "orders", table, run(2))
    assert bench.rows(bench.lake.dlq("orders"), "status", "attempts") == [("open", 0)]


@pytest.mark.parametrize(
    "rule",
    [pytest.param(ABSENT, id="on rows"), pytest.param({"unique": ["gone"]}, id="on all", marks=pytest.mark.slow)],
)
def test_gold_with_it_stays_as_it_is(bench: Workbench, rule: Any) -> None:
    bench.publish("silver.orders", "id int, amount int", (1, 2))
    gold = {"sql": "SELECT * FROM silver.orders", "load": "overwrite"}
    bench.refresh("copied", Gold.model_validate(gold))
    bench.publish("silver.orders", "id int, amount int", (1, 2), (2, 3))
    with pytest.raises(RulesBroken, match=r"it cannot be worked out: .*`gone` cannot be resolved"):
        bench.refresh("copied", Gold.model_validate({**gold, "quality": {"rules": [rule]}}))
    assert bench.rows(bench.lake.gold("copied"), "id") == [(1,)]
