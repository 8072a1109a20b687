"""Deletions and what comes late: a deleted key stays deleted for everything older, and comes back for what is newer."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.lakehouse import LoadResult, merge_silver, plan_table
from airflow_ingest.lakehouse.model import ALREADY_APPLIED
from tests.chaos.faults import dying
from tests.lakehouse.conftest import Workbench, csv_table, run
from tests.pins import Kept

pytestmark = pytest.mark.spark

CHANGES: dict[str, Any] = {"delete_when": "op = 'D'", "columns": {"id": "int", "amount": "int", "at": "int"}}
HEAD = "op,at,id,amount\n"


def table(**more: Any) -> Any:
    return csv_table({**CHANGES, "sequence_by": ["at"]}, **more)


def day(bench: Workbench, number: int, *rows: str) -> str:
    return bench.write(f"{number}.csv", HEAD + "".join(f"{row}\n" for row in rows))


def silver(bench: Workbench) -> list[tuple[object, ...]]:
    return bench.rows(bench.lake.silver("orders"), "id", "amount")


@pytest.mark.slow
def test_an_older_change_stays_dead_and_a_newer_one_brings_the_key_back(bench: Workbench) -> None:
    bench.load(table(), day(bench, 1, "I,1,1,10", "I,1,2,20"), day=1)
    deleted = bench.load(table(), day(bench, 2, "D,5,1,", "D,5,9,"), day=2)
    assert (deleted.rows.deleted, deleted.rows.unchanged, silver(bench)) == (1, 1, [(2, 20)])
    older = bench.load(table(), day(bench, 3, "I,4,1,40", "U,4,2,24"), day=3)
    assert (older.rows.superseded, older.rows.updated, silver(bench)) == (1, 1, [(2, 24)])
    newer = bench.load(table(), day(bench, 4, "I,6,1,60"), day=4)
    assert (newer.rows.inserted, silver(bench)) == (1, [(1, 60), (2, 24)])
    for again in (2, 3, 4, 1):
        file = str(bench.landing / f"{again}.csv")
        repeated = bench.load(table(), file, day=again)
        assert (repeated.rows.written, repeated.rows.retracted) == (0, 0), again
        assert silver(bench) == [(1, 60), (2, 24)], again


@pytest.mark.slow
def test_a_deletion_that_its_source_takes_back_lets_the_older_change_live(bench: Workbench) -> None:
    bench.load(table(), day(bench, 2, "D,5,1,", "D,5,2,"), day=2)
    bench.load(table(), day(bench, 1, "I,4,1,40", "I,4,2,41"), day=1)
    assert silver(bench) == []
    corrected = bench.load(table(), day(bench, 2, "D,5,2,"), day=2)
    assert silver(bench) == [(1, 40)]
    assert (corrected.rows.read, corrected.rows.unchanged, corrected.rows.inserted) == (1, 1, 0)
    late = bench.load(table(), day(bench, 3, "I,3,1,30", "I,3,2,31"), day=3)
    assert (silver(bench), late.rows.superseded) == ([(1, 40)], 2)


@pytest.mark.slow
def test_what_an_attempt_that_died_has_deleted_is_taken_back_with_the_deletion(bench: Workbench) -> None:
    bench.load(table(), day(bench, 3, "I,4,8,80"), day=3)
    first = bench.ingest(table(), day(bench, 2, "D,5,1,", "I,5,2,20"), day=2)
    gate = bench.gate(table(), first, 2)
    dying("before", "merge silver/orders", lambda: bench.merge(table(), gate, 2))
    bench.load(table(), day(bench, 2, "I,5,2,20"), day=2)  # corrected: nothing is deleted
    assert bench.load(table(), day(bench, 1, "I,4,1,40"), day=1).rows.inserted == 1

    pins = Kept()
    bench.load(table(), day(bench, 5, "D,7,1,"), day=5)
    again = bench.gate(table(), bench.ingest(table(), day(bench, 5, "I,7,3,30"), day=5), 5)

    def merge() -> LoadResult:
        attempt = pins.attempt()
        return merge_silver(bench.spark, bench.lake, "orders", table(), run(5), again.batch, again, pins=attempt)

    dying("after", "merge silver/orders", merge)
    retried = merge()
    assert (retried.reason, retried.rows.inserted) == (ALREADY_APPLIED, 1)
    assert silver(bench) == [(1, 40), (2, 20), (3, 30), (8, 80)]
    assert bench.load(table(), day(bench, 4, "U,6,1,60"), day=4).rows.updated == 1


@pytest.mark.slow
def test_a_correction_takes_a_row_back_to_the_deletion_before_it(bench: Workbench) -> None:
    bench.load(table(), day(bench, 1, "I,1,1,10"), day=1)
    bench.load(table(), day(bench, 2, "D,2,1,"), day=2)
    bench.load(table(), day(bench, 3, "I,3,1,30", "I,3,2,32"), day=3)
    assert silver(bench) == [(1, 30), (2, 32)]
    again = bench.load(table(), day(bench, 3, "I,3,2,32"), day=3)
    assert (silver(bench), again.rows.retracted, again.rows.deleted) == ([(2, 32)], 1, 0)


@pytest.mark.slow
def test_a_deletion_is_checked_on_its_keys_and_its_sequence_alone(bench: Workbench) -> None:
    rules = {"rules": [{"name": "paid", "expect": "amount > 0"}, {"null_rate": {"column": "amount", "max": 0}}]}
    strict = table(quality={"max_reject_rate": "80%", **rules})
    bench.load(strict, day(bench, 1, "I,1,1,10"), day=1)
    loaded = bench.ingest(strict, day(bench, 2, "D,2,1,none", "D,2,x,1", "D,late,3,1"), day=2)
    gate = bench.gate(strict, loaded, 2)
    assert (gate.decision, gate.rows.rejected, gate.deletions) == ("pass", 2, 1)
    assert bench.merge(strict, gate, 2).rows.deleted == 1
    assert sorted((rule, column) for rule, column, _ in bench.reasons()) == [
        ("cast", "at"),
        ("cast", "id"),
        ("key", "id"),
    ]


@pytest.mark.slow
def test_the_plan_counts_deletions_as_the_run_does(bench: Workbench) -> None:
    bench.load(table(), day(bench, 1, "I,1,1,10", "I,1,2,20"), day=1)
    bench.load(table(), day(bench, 3, "D,9,3,"), day=3)
    file = day(bench, 2, "D,5,1,", "D,5,7,", "I,6,3,30", "U,6,2,26")
    plan = plan_table(bench.spark, bench.lake, "orders", table(), run(2), files=file)
    loaded = bench.load(table(), file, day=2)
    assert plan.rows == loaded.rows
    assert (loaded.rows.deleted, loaded.rows.unchanged, loaded.rows.superseded, loaded.rows.updated) == (1, 1, 1, 1)
