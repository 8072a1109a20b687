"""Rows that follow from more than the newest change of their key: softly deleted ones, and partial updates."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse import (
    LoadResult,
    Target,
    maintain_table,
    merge_silver,
    plan_table,
    refresh_gold,
    replay_dlq,
)
from airflow_ingest.lakehouse.model import ALREADY_APPLIED
from tests.chaos.faults import dying
from tests.lakehouse.conftest import Workbench, csv_table, run
from tests.pins import Kept

pytestmark = pytest.mark.spark

COLUMNS = {"id": "int", "amount": "int", "note": "string", "at": "int"}
HEAD = "op,at,id,amount,note\n"


def table(**silver: Any) -> Table:
    return csv_table({"delete_when": "op = 'D'", "columns": COLUMNS, "sequence_by": ["at"], **silver})


SOFT, PARTIAL = table(deletes="soft"), table(ignore_null_updates=True)


def day(bench: Workbench, number: int, *rows: str) -> str:
    return bench.write(f"{number}.csv", HEAD + "".join(f"{row}\n" for row in rows))


def load(bench: Workbench, of: Table, number: int, *rows: str) -> dict[str, int]:
    """What became of the rows, but for what is zero."""
    counts = bench.load(of, day(bench, number, *rows), day=number).rows
    assert counts.unaccounted == 0
    return {name: count for name, count in counts.model_dump().items() if count and name != "read"}


def soft(bench: Workbench) -> list[tuple[Any, ...]]:
    rows = bench.rows(bench.lake.silver("orders"), "id", "amount", "_deleted_at")
    return [(key, amount, "deleted" if at else "there") for key, amount, at in rows]


def whole(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.rows(bench.lake.silver("orders"), "id", "amount", "note")


@pytest.mark.slow
def test_a_softly_deleted_row_stays_and_comes_back_with_a_newer_change(bench: Workbench) -> None:
    assert load(bench, SOFT, 1, "I,1,1,10,", "I,1,2,20,", "D,2,2,,") == {
        "inserted": 1,
        "unchanged": 1,
        "deduplicated": 1,
    }
    assert load(bench, SOFT, 2, "D,5,1,,", "D,5,9,,", "I,4,2,24,") == {"deleted": 1, "unchanged": 1, "inserted": 1}
    assert soft(bench) == [(1, 10, "deleted"), (2, 24, "there")]
    assert load(bench, SOFT, 3, "U,4,1,40,", "I,4,9,49,", "I,7,3,30,") == {"superseded": 2, "inserted": 1}
    assert soft(bench) == [(1, 40, "deleted"), (2, 24, "there"), (3, 30, "there"), (9, 49, "deleted")]


@pytest.mark.slow
def test_a_partial_update_keeps_what_it_does_not_say_though_it_comes_late(bench: Workbench) -> None:
    assert load(bench, PARTIAL, 1, "I,1,1,10,first", "I,1,2,20,") == {"inserted": 2}
    assert load(bench, PARTIAL, 2, "U,3,1,,third", "U,3,2,,third") == {"updated": 2}
    assert whole(bench) == [(1, 10, "third"), (2, 20, "third")]
    assert load(bench, PARTIAL, 3, "U,2,1,12,second", "U,2,2,,second") == {"updated": 1, "superseded": 1}
    assert whole(bench) == [(1, 12, "third"), (2, 20, "third")]


@pytest.mark.slow
def test_a_re_run_takes_a_soft_deletion_back_and_what_came_after_it(bench: Workbench) -> None:
    load(bench, SOFT, 1, "I,1,1,10,", "I,1,2,20,")
    load(bench, SOFT, 2, "D,5,1,,", "D,5,9,,")
    load(bench, SOFT, 3, "U,4,1,40,", "I,4,9,49,")
    assert load(bench, SOFT, 4, "I,6,1,60,") == {"inserted": 1}
    assert soft(bench) == [(1, 60, "there"), (2, 20, "there"), (9, 49, "deleted")]
    assert load(bench, SOFT, 2, "D,5,9,,") == {"unchanged": 1}
    assert load(bench, SOFT, 4) == {"retracted": 1}
    assert soft(bench) == [(1, 40, "there"), (2, 20, "there"), (9, 49, "deleted")]


@pytest.mark.slow
def test_partial_updates_end_with_a_deletion_and_go_with_a_re_run(bench: Workbench) -> None:
    load(bench, PARTIAL, 1, "I,1,1,10,first", "I,1,2,20,")
    load(bench, PARTIAL, 2, "U,2,1,12,second", "U,2,2,,second")
    load(bench, PARTIAL, 3, "U,3,1,,third", "U,3,2,,third")
    assert load(bench, PARTIAL, 4, "D,4,1,,", "U,6,1,16,", "U,5,2,25,") == {"updated": 2, "deduplicated": 1}
    assert whole(bench) == [(1, 16, None), (2, 25, "third")]
    assert load(bench, PARTIAL, 3, "U,3,2,23,") == {"updated": 1}
    assert whole(bench) == [(1, 16, None), (2, 25, "second")]


@pytest.mark.slow
def test_soft_deletes_are_counted_as_hard_ones_are(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> None:
    days = [
        (1, ["I,1,1,10,", "I,1,2,20,", "D,2,2,,"]),
        (3, ["D,9,1,,", "I,8,3,30,"]),
        (2, ["U,7,1,17,", "U,3,2,23,", "D,4,3,,"]),
        (4, ["I,11,1,1,", "D,12,3,,"]),
        (3, ["I,8,3,31,"]),
    ]
    other = Workbench(bench.spark, tmp_path_factory.mktemp("other"))
    for number, rows in days:
        assert load(bench, SOFT, number, *rows) == load(other, table(), number, *rows), (number, rows)
        alive = [(key, amount) for key, amount, state in soft(bench) if state == "there"]
        assert alive == other.rows(other.lake.silver("orders"), "id", "amount")


@pytest.mark.slow
@pytest.mark.parametrize("of", [SOFT, PARTIAL], ids=["soft", "partial"])
def test_the_plan_counts_as_the_run_does(of: Table, bench: Workbench) -> None:
    load(bench, of, 1, "I,1,1,10,x", "I,1,2,20,x")
    load(bench, of, 3, "D,9,3,,", "U,4,2,,y")
    for number in (2, 2):
        file = day(bench, number, "D,5,1,,", "D,5,7,,", "I,6,3,30,", "U,3,2,26,")
        plan = plan_table(bench.spark, bench.lake, "orders", of, run(number), files=file)
        assert plan.rows == bench.load(of, file, day=number).rows


@pytest.mark.slow
@pytest.mark.parametrize("of", [SOFT, PARTIAL], ids=["soft", "partial"])
def test_a_load_that_died_after_its_commit_is_finished_by_the_retry(of: Table, bench: Workbench) -> None:
    load(bench, of, 1, "I,1,1,10,x")
    again = bench.gate(of, bench.ingest(of, day(bench, 2, "D,5,1,,", "I,5,2,20,"), day=2), 2)
    pins = Kept()

    def merge() -> LoadResult:
        attempt = pins.attempt()
        return merge_silver(bench.spark, bench.lake, "orders", of, run(2), again.batch, again, pins=attempt)

    dying("after", "merge silver/orders", merge)
    retried = merge()
    assert (retried.reason, retried.rows.inserted, retried.rows.deleted) == (ALREADY_APPLIED, 1, 1)
    assert [row[:2] for row in whole(bench)] == ([(1, 10), (2, 20)] if of is SOFT else [(2, 20)])


@pytest.mark.slow
@pytest.mark.parametrize("of", [SOFT, PARTIAL], ids=["soft", "partial"])
def test_a_replayed_letter_takes_its_place_among_the_changes(of: Table, bench: Workbench) -> None:
    load(bench, of, 1, "I,1,1,10,first")
    load(bench, of, 2, "U,2,1,bad,second")
    load(bench, of, 3, "U,3,1,,", "D,4,2,,")
    replayed = replay_dlq(bench.spark, bench.lake, "orders", of, run(4), fix={"amount": "'12'"})
    assert (replayed.replayed, replayed.rejected) == (1, 0)
    assert whole(bench) == ([(1, None, None)] if of is SOFT else [(1, 12, "second")])


@pytest.mark.slow
def test_a_forgotten_deletion_is_known_still_where_its_row_stays(bench: Workbench) -> None:
    load(bench, SOFT, 1, "D,5,1,,", "I,1,2,20,", "D,5,2,,", "I,1,3,30,", "D,5,3,,")
    path = "ops.tombstones/orders"
    for retention, forgotten in (("1d", 0), ("1s", 3), ("1s", 0)):
        of = table(deletes="soft", tombstone_retention=retention)
        assert of.silver
        target = Target(table=path, forget_after=of.silver.tombstone_retention)
        dry = maintain_table(bench.spark, bench.lake, target, "r", dry_run=True)
        done = maintain_table(bench.spark, bench.lake, target, "r")
        assert dry
        assert done
        assert (dry.forgotten, done.forgotten) == (forgotten, forgotten)
        assert [text.startswith("DELETE") for text in dry.statements[:1]] == [True] * bool(forgotten)
    changes = ("I,4,1,40,", "I,1,2,20,", "U,4,3,34,")
    assert load(bench, SOFT, 2, *changes) == {"inserted": 1, "superseded": 2}
    assert soft(bench) == [(1, 40, "there"), (2, 20, "deleted"), (3, 34, "deleted")]
    assert load(bench, SOFT, 3, "U,6,2,26,") == {"inserted": 1}
    assert soft(bench) == [(1, 40, "there"), (2, 26, "there"), (3, 34, "deleted")]


@pytest.mark.slow
def test_gold_sees_a_soft_deletion_as_a_change(bench: Workbench) -> None:
    gold = Gold(sql="SELECT count(*) AS n, sum(amount) AS total FROM silver.orders WHERE _deleted_at IS NULL")
    load(bench, SOFT, 1, "I,1,1,10,", "I,1,2,20,")
    refresh_gold(bench.spark, bench.lake, "sums", gold, run(1))
    load(bench, SOFT, 2, "D,5,1,,")
    refresh_gold(bench.spark, bench.lake, "sums", gold, run(2))
    assert bench.rows(bench.lake.gold("sums"), "n", "total") == [(1, 20)]
