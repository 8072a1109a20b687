"""Two writers on one table."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import (
    ConflictError,
    GateOutcome,
    Lake,
    LoadResult,
    ingest_bronze,
    merge_silver,
    quality_gate,
)
from airflow_ingest.lakehouse.batches import waiting_batches
from airflow_ingest.lakehouse.conflicts import ATTEMPTS, replanned
from airflow_ingest.runtime import session
from tests.chaos.faults import Write, watching
from tests.lakehouse.conftest import Workbench, csv_table, run

THEIRS = (
    "[DELTA_CONCURRENT_APPEND.WITHOUT_HINT] Transaction conflict detected. a concurrent MERGE added data to table "
    '/lake/silver/t committed at version 7. Conflicting commit: {"timestamp":1,"operation":"MERGE",'
    '"userMetadata":"{\\"pipeline\\": \\"shop\\", \\"table\\": \\"t\\", \\"run\\": \\"backfill_1\\"}"}\nRefer to …'
)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    return slept


def losing(times: int, message: str = THEIRS) -> Any:
    calls = iter(range(100))

    @replanned
    def merge(spark: Any, lake: Lake, name: str) -> int:
        attempt = next(calls)
        if attempt < times:
            raise RuntimeError(message)
        return attempt

    return merge


LAKE = Lake("/lake", "shop")


@pytest.mark.parametrize(
    "kind", ["CONCURRENT_APPEND", "CONCURRENT_TRANSACTION", "METADATA_CHANGED", "PROTOCOL_CHANGED"]
)
def test_the_loser_plans_again(kind: str, pauses: list[float]) -> None:
    assert losing(3, f"[DELTA_{kind}] Somebody was quicker.")(None, LAKE, "t") == 3
    assert len(pauses) == 3


def test_who_always_loses_is_told_who_won(pauses: list[float]) -> None:
    with pytest.raises(ConflictError) as told:
        losing(99)(None, LAKE, "t")
    assert "shop.t, merge: another writer's commit came first 8 times (DELTA_CONCURRENT_APPEND" in str(told.value)
    assert "The last one was MERGE by pipeline shop, table t, run backfill_1." in str(told.value)
    assert len(pauses) == ATTEMPTS - 1
    assert all(pause <= 20 for pause in pauses)


def test_any_other_error_is_not_tried_again(pauses: list[float]) -> None:
    with pytest.raises(RuntimeError, match="DIVIDE_BY_ZERO"):
        losing(1, "[DIVIDE_BY_ZERO] no")(None, LAKE, "t")
    assert pauses == []


class Died(Exception):
    """The task is gone; nothing after it runs."""


def elsewhere(bench: Workbench, table: Table, gate: GateOutcome, day: int) -> LoadResult:
    """A merge with a session of its own, while the thread's active one is another."""
    with session() as own:
        return merge_silver(own, bench.lake, "orders", table, run(day), gate.batch, gate)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(
    "dies",
    [
        pytest.param(False, id="taken once more at once"),
        pytest.param(True, id="by the next run, should the load die", marks=pytest.mark.slow),
    ],
)
def test_a_day_published_while_keys_are_derived_is_not_passed_over(bench: Workbench, dies: bool) -> None:
    table, head = csv_table({"sequence_by": []}), "id,amount,note\n"
    for day in (1, 4):
        bench.load(table, bench.write(f"{day}.csv", f"{head}1,{day},x\n"), day=day)
    third = bench.gate(table, bench.ingest(table, bench.write("3.csv", f"{head}1,3,x\n"), day=3), 3)
    fourth = bench.gate(table, bench.ingest(table, bench.write("4.csv", head), day=4), 4)
    published: list[LoadResult] = []

    def others_first(write: Write) -> None:
        if write.what == "merge silver/orders" and not published:
            published.append(LoadResult(step="", table="orders"))
            published.append(elsewhere(bench, table, third, 3))

    def death(write: Write) -> None:
        if dies and len(published) == 2:
            raise Died

    with watching(others_first, death), suppress(Died):
        bench.merge(table, fourth, 4)
    assert published[1].rows.superseded == 1
    if dies:
        assert bench.rows(bench.lake.silver("orders")) == [(1, 1, "x")]
        (waiting,) = waiting_batches(bench.spark, bench.lake, "orders")
        assert waiting.batch.id == third.batch.id
        bench.merge(table, bench.gate(table, LoadResult(step="", table="orders", batch=waiting.batch), 5), 5)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 3, "x")]
    assert waiting_batches(bench.spark, bench.lake, "orders") == ()


WORKED_OUT: dict[str, tuple[dict[str, Any], tuple[str, str, str], list[tuple[Any, ...]]]] = {
    "scd2": (
        {"load": "scd2"},
        ("1,1,a,1", "1,2,b,2", "1,3,c,3"),
        [(1, 1, "a", 1, 2), (1, 2, "b", 2, 3), (1, 3, "c", 3, None)],
    ),
    "softly deleted": (
        {"deletes": "soft", "delete_when": "note = 'gone'"},
        ("1,1,a,1", "1,2,b,2", "1,,gone,3"),
        [(1, 2, "b", False)],
    ),
    "partial": ({"ignore_null_updates": True}, ("1,1,a,1", "1,,b,2", "1,3,,3"), [(1, 3, "b")]),
}


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize("dies", [False, True], ids=["planned again at once", "by the next run, should the load die"])
@pytest.mark.parametrize("how", WORKED_OUT)
def test_a_day_published_while_rows_are_worked_out_is_not_overwritten(how: str, dies: bool, bench: Workbench) -> None:
    silver, days, end = WORKED_OUT[how]
    columns = {"id": "int", "amount": "int", "note": "string", "at": "int"}
    table = csv_table({"columns": columns, "sequence_by": ["at"], **silver})
    files = {day: bench.write(f"{day}.csv", f"id,amount,note,at\n{rows}\n") for day, rows in enumerate(days, 1)}
    bench.load(table, files[1], day=1)
    second, third = (bench.gate(table, bench.ingest(table, files[day], day=day), day) for day in (2, 3))
    others: list[LoadResult] = []

    def other_first(write: Write) -> None:
        if write.what == "merge silver/orders" and not others:
            others.append(LoadResult(step="", table="orders"))
            others.append(elsewhere(bench, table, second, 2))

    def death(write: Write) -> None:
        if dies and len(others) == 2:
            raise Died

    with watching(other_first, death), suppress(Died):
        bench.merge(table, third, 3)
    if dies:
        (waiting,) = waiting_batches(bench.spark, bench.lake, "orders")
        assert waiting.batch.id == third.batch.id
        bench.merge(table, bench.gate(table, LoadResult(step="", table="orders", batch=waiting.batch), 4), 4)
    more = {"scd2": ("_valid_from", "_valid_to"), "softly deleted": ("_deleted_at IS NULL",)}
    rows = bench.spark.read.format("delta").load(bench.lake.silver("orders"))
    found = rows.selectExpr("id", "amount", "note", *more.get(how, ())).collect()
    assert sorted(map(tuple, found)) == end
    assert waiting_batches(bench.spark, bench.lake, "orders") == ()


@pytest.mark.slow
@pytest.mark.spark
def test_two_runs_that_take_the_same_rows_back_both_add_up(bench: Workbench) -> None:
    table, head = csv_table({"sequence_by": []}), "id,amount,note\n"
    bench.load(table, bench.write("1.csv", f"{head}1,1,x\n"), day=1)
    bench.load(table, bench.write("4.csv", f"{head}1,4,x\n2,4,x\n"), day=4)
    fourth = bench.gate(table, bench.ingest(table, bench.write("4.csv", f"{head}3,4,x\n"), day=4), 4)
    twins: list[LoadResult] = []

    def twin_first(write: Write) -> None:
        if write.what == "merge silver/orders" and not twins:
            twins.append(LoadResult(step="", table="orders"))
            twins.append(elsewhere(bench, table, fourth, 4))

    with watching(twin_first, lambda write: None):
        second = bench.merge(table, fourth, 4)
    assert (twins[1].rows.inserted, twins[1].rows.retracted) == (1, 2)
    assert (second.rows.written, second.rows.unchanged, second.rows.unaccounted) == (0, 1, 0)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 1, "x"), (3, 4, "x")]


@pytest.mark.slow
@pytest.mark.spark
def test_the_same_days_loaded_side_by_side_end_as_loaded_once(bench: Workbench) -> None:
    table = csv_table({"sequence_by": []})
    files = {
        day: bench.write(f"{day}.csv", f"id,amount,note\n1,{day},day {day}\n{day + 1},0,own\nx,0,bad\n")
        for day in (1, 2)
    }

    def load(day: int) -> None:
        with session() as spark:
            loaded = ingest_bronze(spark, bench.lake, "orders", table, run(day), files=files[day])
            assert loaded.batch
            gate = quality_gate(spark, bench.lake, "orders", table, run(day), loaded.batch)
            merge_silver(spark, bench.lake, "orders", table, run(day), gate.batch, gate)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, (1, 2, 1, 2)))
    assert bench.rows(bench.lake.silver("orders")) == [(1, 2, "day 2"), (2, 0, "own"), (3, 0, "own")]
    assert len(bench.rows(bench.lake.bronze("orders"), "id")) == 6
    assert len(bench.rows(bench.lake.dlq("orders"), "id")) == 2
