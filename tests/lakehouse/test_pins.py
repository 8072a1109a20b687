"""What a step has planned outlives its attempt: a retry does the same, and knows what is done already."""

from __future__ import annotations

import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse import LoadResult, ingest_bronze, merge_silver, refresh_gold
from airflow_ingest.lakehouse.model import ALREADY_APPLIED
from tests.chaos.faults import dying
from tests.lakehouse.conftest import Workbench, csv_table, run
from tests.pins import Kept

pytestmark = pytest.mark.spark

HEAD = "id,amount,note\n"
GOLD = Gold.model_validate({"sql": "SELECT count(*) AS orders FROM silver.orders", "load": "overwrite"})


def test_a_retry_loads_what_was_planned_once_and_a_deliberate_run_plans_anew(bench: Workbench) -> None:
    table, pins, glob = csv_table(), Kept(), f"{bench.landing}/1*.csv"

    def ingest(kept: Kept = pins) -> LoadResult:
        return ingest_bronze(bench.spark, bench.lake, "orders", table, run(1), files=glob, pins=kept.attempt())

    bench.write("1a.csv", f"{HEAD}1,1,a\n")
    dying("before", "write bronze/orders", ingest)
    bench.write("1b.csv", f"{HEAD}2,2,b\n")
    dying("after", "write bronze/orders", ingest)
    bench.write("1a.csv", f"{HEAD}1,1,rewritten\n")
    third = ingest()
    assert (third.reason, third.rows.read) == (ALREADY_APPLIED, 1)
    assert bench.rows(bench.lake.bronze("orders"), "id", "note") == [("1", "a")]

    cleared = ingest(Kept())
    assert (cleared.reason, cleared.rows.read) == ("", 2)
    assert bench.rows(bench.lake.bronze("orders"), "id", "note") == [("1", "rewritten"), ("2", "b")]


@pytest.mark.slow
def test_a_planned_file_that_was_written_again_is_planned_again(bench: Workbench) -> None:
    table, pins, file = csv_table(), Kept(), bench.write("1.csv", f"{HEAD}1,1,a\n")

    def ingest() -> LoadResult:
        return ingest_bronze(bench.spark, bench.lake, "orders", table, run(1), files=file, pins=pins.attempt())

    dying("before", "write bronze/orders", ingest)
    bench.write("1.csv", f"{HEAD}1,1,a\n2,2,b\n")
    loaded = ingest()
    assert loaded.batch
    assert (loaded.reason, loaded.rows.read) == ("", 2)
    assert [found.size for found in loaded.batch.files] == [len(f"{HEAD}1,1,a\n2,2,b\n")]


@pytest.mark.slow
def test_a_retry_finds_what_was_published_and_gives_its_account(bench: Workbench) -> None:
    table, pins, lake = csv_table(), Kept(), bench.lake
    bench.load(table, bench.write("1.csv", f"{HEAD}1,1,a\n2,5,b\n"), day=1)
    gate = bench.gate(table, bench.ingest(table, bench.write("2.csv", f"{HEAD}1,2,c\n2,4,d\n3,3,e\n"), 2), 2)

    def merge(kept: Kept = pins) -> LoadResult:
        return merge_silver(bench.spark, lake, "orders", table, run(2), gate.batch, gate, pins=kept.attempt())

    def refresh() -> LoadResult:
        return refresh_gold(bench.spark, lake, "counted", GOLD, run(2), pins=pins.attempt())

    dying("after", "merge silver/orders", merge)
    bench.load(table, bench.write("3.csv", f"{HEAD}3,9,newer\n"), day=3)
    again = merge()
    assert again.reason == ALREADY_APPLIED
    assert (again.rows.inserted, again.rows.updated, again.rows.superseded, again.rows.unaccounted) == (1, 1, 1, 0)
    deliberate = merge(Kept())
    assert (deliberate.reason, deliberate.rows.written, deliberate.rows.superseded) == ("", 0, 2)

    dying("after", "write gold/counted", refresh)
    published = refresh()
    assert (published.status, published.reason, published.rows.inserted) == ("loaded", ALREADY_APPLIED, 1)
    assert refresh().version == published.version
    bench.spark.sql(f"RESTORE TABLE delta.`{lake.silver('orders')}` TO VERSION AS OF 1").collect()
    restored = merge()
    assert (restored.reason, restored.rows.inserted) == ("", 1)
    assert refresh().reason == "recomputed whole"
