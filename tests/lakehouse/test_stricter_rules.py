"""Rules that have become stricter since other batches went in, whose rows are judged again beside a batch."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import replay_dlq
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = [pytest.mark.spark, pytest.mark.slow]

HEAD = "id,amount,note,at\n"
STRICT: dict[str, Any] = {"rules": [{"name": "big", "expect": "amount > 1"}], "max_reject_rate": "100%"}
LOADS: dict[str, dict[str, Any]] = {
    "merge": {},
    "insert": {"load": "insert"},
    "scd2": {"load": "scd2"},
    "softly deleted": {"deletes": "soft", "delete_when": "note = 'gone'"},
    "partial": {"ignore_null_updates": True},
}


def table(load: str, quality: dict[str, Any] | None = None) -> Table:
    columns = {"id": "int", "amount": "int", "note": "string", "at": "int"}
    silver = {"columns": columns, "keys": ["id"], "sequence_by": ["at"], **LOADS[load]}
    return csv_table(silver, quality=quality or {})


def load(bench: Workbench, of: Table, day: int, rows: str) -> None:
    bench.load(of, bench.write(f"{day}.csv", HEAD + rows), day=day)


def silver(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.rows(bench.lake.silver("orders"), "id", "amount")


def letters(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.rows(bench.lake.dlq("orders"), "id", "_processing_date", "batch_order", "status", "reasons.rule")


@pytest.mark.parametrize("how", LOADS)
def test_a_row_of_another_day_that_is_rejected_now_becomes_a_letter_of_its_own_day(how: str, bench: Workbench) -> None:
    mine, other = (1, 2) if how == "insert" else (2, 1)
    days = {mine: f"1,5,won,{mine}\n2,2,own,{mine}\n", other: f"1,1,lost,{other}\n3,3,kept,{other}\n"}
    for day in (1, 2):
        load(bench, table(how), day, days[day])
    without = f"2,2,own,{mine}\n"
    strict = table(how, STRICT)
    load(bench, strict, mine, without)
    assert [row for row in silver(bench) if row[0] == 1] == []
    assert [(str(row[1]), *row[3:]) for row in letters(bench)] == [(f"2026-01-0{other}", "open", ["big"])]
    told = letters(bench)
    load(bench, strict, mine, without)
    assert letters(bench) == told
    load(bench, strict, other, days[other])
    assert letters(bench) == told
    replayed = replay_dlq(bench.spark, bench.lake, "orders", strict, run(9), fix={"amount": "'7'"})
    assert (replayed.replayed, replayed.rejected) == (1, 0)
    assert (1, 7) in silver(bench)


def test_what_the_merge_rejects_by_newer_rules_than_the_gates_becomes_a_letter(bench: Workbench) -> None:
    file = bench.write("1.csv", HEAD + "1,1,a,1\n1,1,a,1\n2,5,b,1\n3,x,c,1\n")
    lax = table("merge", {"max_reject_rate": "100%"})
    gate = bench.gate(lax, bench.ingest(lax, file))
    told = letters(bench)
    for _ in range(2):
        bench.merge(table("merge", STRICT), gate)
        assert silver(bench) == [(2, 5)]
        assert [row for row in letters(bench) if row in told] == told
        assert [row[-1] for row in letters(bench) if row not in told] == [["big"], ["big"]]
