"""Rules on a table that stops at bronze: its rows are judged as they came, and all of them stay."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import hold_batch, table_status
from tests.lakehouse.conftest import Workbench, run

pytestmark = pytest.mark.spark

DAY = "id,Amount\n1,10\n2,ten\n3,\n4,5,6\n"


def bronze_table(**quality: Any) -> Table:
    return Table.model_validate({"source": {"files": "unused", "format": "csv"}, "quality": quality})


def test_rows_that_break_a_rule_have_letters_and_stay_in_bronze(bench: Workbench) -> None:
    rules = [{"name": "digits", "pattern": {"column": "amount", "regex": "^[0-9]+$"}}, {"row_count": {"min": 1}}]
    table = bronze_table(rules=rules, max_reject_rate=0.5)
    loaded = bench.ingest(table, bench.write("x.csv", DAY))
    gate = bench.gate(table, loaded)
    assert loaded.pending == (loaded.batch,)
    assert (gate.decision, gate.rows.read, gate.rejections) == ("warn", 4, {"malformed": 1, "digits": 1})
    assert [(reason[0], reason[2]) for reason in bench.reasons()] == [
        ("digits", "breaks pattern(amount)"),
        ("malformed", "malformed line: 4,5,6"),
    ]
    assert len(bench.rows(bench.lake.bronze("orders"))) == 4
    assert table_status(bench.spark, bench.lake, "orders", table).open_letters == 2


def test_a_batch_that_breaks_its_rules_is_told_of_and_blocks_no_other(bench: Workbench) -> None:
    table = bronze_table(rules=[{"row_count": {"min": 5}}])
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", DAY), kind="live"))
    assert gate.decision == "block"
    told = hold_batch(bench.spark, bench.lake, table, run(1), gate)
    assert f"batch {gate.batch.id} breaks its rules: rule row_count: 3 rows, expected 5.." in told
    assert "release" not in told
    second = bench.ingest(table, bench.write("y.csv", DAY), day=2, kind="live")
    assert second.pending == (second.batch,)


def test_without_rules_nothing_is_judged(bench: Workbench) -> None:
    assert bench.ingest(bronze_table(), bench.write("x.csv", DAY)).pending == ()
