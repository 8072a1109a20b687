"""The stories of the design that must come true, told through the operators and through the command line."""

from __future__ import annotations

import pytest

from airflow_ingest.config import load_pipeline
from airflow_ingest.lakehouse import RunInfo, decide_held, replay_dlq
from tests.stories.conftest import Shop

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]


def test_a_a_rewritten_file_without_a_key_gives_the_key_back(shop: Shop) -> None:
    shop.day(1, "1,10", "7,1")
    shop.day(2, "1,20", "8,2")
    assert (shop.silver(), shop.gold()) == ({1: 20, 7: 1, 8: 2}, {1: 1, 2: 22})
    shop.day(2, "8,2")
    assert (shop.silver(), shop.gold()) == ({1: 10, 7: 1, 8: 2}, {1: 11, 2: 2})


def test_b_a_day_that_was_left_behind_is_taken_by_the_next_and_clearing_it_changes_nothing(shop: Shop) -> None:
    from airflow_ingest.lakehouse import Interval, ingest_bronze

    file = shop.folder / "landing" / "2026-01-01.csv"
    file.write_text("day,id,amount\n2026-01-01,1,10\n")
    table = load_pipeline(shop.folder / "shop.yaml").tables["orders"]
    first = RunInfo(
        pipeline="shop",
        run_id="live__2026-01-01",
        interval=Interval.model_validate({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}),
    )
    ingest_bronze(shop.spark, shop.lake, "orders", table, first, files=str(file))
    shop.day(2)
    assert shop.silver() == {1: 10}
    before = shop.spark.read.format("delta").load(shop.lake.silver("orders")).collect()
    shop.driver(shop.folder, 1, "live")
    assert shop.spark.read.format("delta").load(shop.lake.silver("orders")).collect() == before


def test_c_a_released_day_gives_way_to_the_newer_day_that_passed_it(shop: Shop) -> None:
    shop.day(1, "9,9")
    assert shop.day(3, "1,30", "2,30", "x,x") == "held"
    assert shop.day(4, "1,40") == "loaded"
    assert (shop.silver(), shop.gold()) == ({1: 40, 9: 9}, {1: 9, 4: 40})
    batch = shop.spark.read.format("delta").load(shop.lake.ops("batches")).select("batch_id").collect()[0][0]
    decide_held(shop.spark, shop.lake, "orders", batch, "released", reason="seen", run_id="by hand")
    shop.day(5)
    assert (shop.silver(), shop.gold()) == ({1: 40, 2: 30, 9: 9}, {1: 9, 3: 30, 4: 40})


def test_d_a_deletion_outlives_older_changes_and_gives_way_to_newer_ones(shop: Shop) -> None:
    shop.describe("columns: {day: date, id: int, amount: int}", "columns: {day: date, id: int, amount: int, at: int}")
    shop.describe("keys: [id]", "keys: [id]\n      sequence_by: [at]\n      delete_when: \"op = 'D'\"")
    shop.head = "day,id,amount,at,op"
    batches = {1: "1,10,1,I", 2: "1,,5,D", 3: "1,40,4,I", 4: "1,60,6,I"}
    seen = []
    for number, change in batches.items():
        shop.day(number, change)
        seen.append(shop.silver())
    assert seen == [{1: 10}, {}, {}, {1: 60}]
    for number in (2, 3, 4, 1):
        shop.day(number, batches[number])
        assert (shop.silver(), shop.gold()) == ({1: 60}, {4: 60})


def test_e_a_replayed_row_stays_fixed_until_the_source_is_corrected(shop: Shop) -> None:
    shop.day(1, "1,ten", "2,20", "3,30", "4,40")
    table = load_pipeline(shop.folder / "shop.yaml").tables["orders"]
    by_hand = RunInfo(pipeline="shop", run_id="replay")
    replay_dlq(shop.spark, shop.lake, "orders", table, by_hand, fix={"amount": "'10'"})
    assert shop.silver() == {1: 10, 2: 20, 3: 30, 4: 40}
    shop.day(1, "1,ten", "2,20", "3,30", "4,40", kind="backfill")
    assert (shop.silver(), statuses(shop)) == ({1: 10, 2: 20, 3: 30, 4: 40}, ["replayed"])
    shop.day(1, "1,11", "2,20", "3,30", "4,40", kind="backfill")
    assert (shop.silver(), statuses(shop)) == ({1: 11, 2: 20, 3: 30, 4: 40}, ["superseded"])


def statuses(shop: Shop) -> list[str]:
    return [row[0] for row in shop.spark.read.format("delta").load(shop.lake.dlq("orders")).select("status").collect()]
