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


@pytest.mark.parametrize("severity", ["error", "warning"])
@pytest.mark.parametrize(
    ("rule", "why"),
    [
        pytest.param(ABSENT, "name `gone` cannot be resolved", id="a column that is not there"),
        pytest.param({"name": "sum", "expect": "amount + 1"}, "should all be the same type", id="no condition"),
        pytest.param({"name": "all", "expect": "sum(amount) > 1"}, "another aggregate", id="an aggregate"),
        pytest.param({"name": "one", "expect": "explode(array(1)) > 0"}, "generator is not supported", id="several"),
        pytest.param({"name": "f", "expect": "no_such(amount) > 1"}, "routine `no_such`", id="no such function"),
        pytest.param({"range": {"column": "gone", "min": 1}}, "name `gone` cannot be resolved", id="a range"),
        pytest.param({"unique": ["gone"]}, "name `gone` cannot be resolved", id="unique"),
        pytest.param({"unique": ["counts"]}, "cannot be sorted", id="unique, what cannot be compared"),
        pytest.param({"duplicate_rate": {"columns": ["counts"], "max": 0}}, "cannot be sorted", id="duplicates"),
        pytest.param({"freshness": {"column": "counts", "max_age": "1d"}}, "cast", id="freshness of no time"),
        pytest.param({"null_rate": {"column": "gone", "max": 0}}, "name `gone` cannot be resolved", id="NULLs"),
        pytest.param({"drift": {"metric": "sum(gone)"}}, "name `gone` cannot be resolved", id="drift"),
    ],
)
def test_it_alone_is_broken_and_says_why(bench: Workbench, rule: Any, why: str, severity: str) -> None:
    columns = {"id": "int", "amount": "int", "counts": {"expr": "map(note, 1)"}}
    silver = {"columns": columns, "keys": ["id"], "sequence_by": []}
    bad = {**rule, "severity": severity}
    table = csv_table(silver).model_copy(
        update={"quality": csv_table(silver, quality={"max_reject_rate": "100%", "rules": [bad, GOOD]}).quality}
    )
    gate = bench.gate(table, bench.ingest(table, bench.write("1.csv", "id,amount,note\n1,2,x\n2,20,y\n")))

    broken, good = gate.rules
    assert broken.message.startswith("it cannot be worked out: ")
    assert why in broken.message
    assert "\n" not in broken.message
    assert not broken.passed
    assert (good.failing, gate.rejections) == (1, {"small": 1}), "the others judge what came"
    assert gate.decision == ("block" if severity == "error" else "warn")
    assert any(broken.message in reason for reason in gate.reasons)


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


@pytest.mark.parametrize("rule", [ABSENT, {"unique": ["gone"]}], ids=["on rows", "on all"])
def test_gold_with_it_stays_as_it_is(bench: Workbench, rule: Any) -> None:
    bench.publish("silver.orders", "id int, amount int", (1, 2))
    gold = {"sql": "SELECT * FROM silver.orders", "load": "overwrite"}
    bench.refresh("copied", Gold.model_validate(gold))
    bench.publish("silver.orders", "id int, amount int", (1, 2), (2, 3))
    with pytest.raises(RulesBroken, match=r"it cannot be worked out: .*`gone` cannot be resolved"):
        bench.refresh("copied", Gold.model_validate({**gold, "quality": {"rules": [rule]}}))
    assert bench.rows(bench.lake.gold("copied"), "id") == [(1,)]
