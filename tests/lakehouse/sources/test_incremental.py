"""Files that were not loaded before: known by path, size and time, whatever a crash kept out of the ledger."""

from __future__ import annotations

import os
from typing import Any

import pytest

from airflow_ingest.lakehouse import ingest_bronze
from airflow_ingest.lakehouse.batches import pending_batches
from airflow_ingest.lakehouse.ledger import Ledger
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

TABLE = csv_table({"sequence_by": []}, extract={"mode": "incremental"})
HEAD = "id,amount,note\n"


@pytest.fixture
def live(bench: Workbench) -> Any:
    """Run a day's ingest, gate and merge as the schedule does; returns the ingest's result."""

    def load(day: int, kind: str = "live") -> Any:
        loaded = bench.ingest(TABLE, f"{bench.landing}/*.csv", day, kind=kind)
        for batch in loaded.pending:
            bench.merge(TABLE, bench.gate(TABLE, loaded.model_copy(update={"batch": batch}), day), day)
        return loaded

    return load


def killed(*_: object) -> None:
    raise KeyboardInterrupt


def bronze(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.rows(bench.lake.bronze("orders"), "id", "amount")


def names(result: Any) -> list[str]:
    return [file.path.rsplit("/", 1)[1] for file in result.batch.files]


@pytest.mark.slow
def test_every_file_is_loaded_once_however_empty_and_again_when_rewritten(bench: Workbench, live: Any) -> None:
    bench.write("a.csv", f"{HEAD}1,1,a\n")
    bench.write("empty.csv", "")
    assert names(live(1)) == ["a.csv", "empty.csv"]
    nothing = live(2)
    assert (nothing.status, nothing.pending) == ("skipped", ())
    assert "none of the 2 files" in nothing.reason
    bench.write("b.csv", f"{HEAD}1,2,b\n2,2,b\n")
    assert names(live(3)) == ["b.csv"]
    rewritten = bench.write("a.csv", f"{HEAD}1,9,again\n")
    os.utime(rewritten, (1e9, 1e9))
    assert names(live(4)) == ["a.csv"]
    assert bench.rows(bench.lake.silver("orders")) == [(1, 9, "again"), (2, 2, "b")]
    assert bronze(bench) == [("1", "1"), ("1", "2"), ("1", "9"), ("2", "2")]


@pytest.mark.slow
def test_what_a_crash_kept_out_of_the_ledger_is_entered_from_the_log(
    bench: Workbench, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.write("a.csv", f"{HEAD}1,1,a\n")
    with monkeypatch.context() as crash:
        crash.setattr(Ledger, "catch_up", killed)
        with pytest.raises(KeyboardInterrupt):
            live(1)
    bench.write("b.csv", f"{HEAD}2,2,b\n")
    second = live(2)
    assert names(second) == ["b.csv"]
    assert [batch.run_id for batch in second.pending] == ["run_1", "run_2"]
    assert bench.rows(bench.lake.silver("orders"), "id") == [(1,), (2,)]


@pytest.mark.slow
def test_a_run_that_comes_again_takes_its_own_files_as_they_are_now_and_keeps_its_place(
    bench: Workbench, live: Any
) -> None:
    bench.write("a.csv", f"{HEAD}1,1,a\n2,1,a\n")
    first = live(1)
    bench.write("b.csv", f"{HEAD}1,2,b\n")
    live(2)
    bench.write("c.csv", f"{HEAD}3,3,c\n")
    bench.write("a.csv", f"{HEAD}1,10,corrected\n")
    again = live(1)
    assert (again.batch.id, names(again), again.batch.order) == (first.batch.id, ["a.csv"], first.batch.order)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 2, "b")]
    assert bronze(bench) == [("1", "10"), ("1", "2")]
    assert names(live(3)) == ["c.csv"]


@pytest.mark.slow
def test_a_backfill_leaves_the_table_alone_once_it_is_loaded(bench: Workbench, live: Any) -> None:
    bench.write("a.csv", f"{HEAD}1,1,a\n")
    assert live(1, "backfill").status == "loaded"
    bench.write("b.csv", f"{HEAD}2,2,b\n")
    later = live(2, "backfill")
    assert (later.status, "whatever the interval" in later.reason) == ("skipped", True)
    assert names(live(3)) == ["b.csv"]


def test_of_two_runs_that_plan_the_same_files_one_loads_them(bench: Workbench) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from airflow_ingest.lakehouse import ingest_bronze
    from airflow_ingest.runtime import session

    bench.write("a.csv", f"{HEAD}1,1,a\n")

    def load(day: int) -> str:
        with session() as spark:
            pattern = f"{bench.landing}/*.csv"
            return ingest_bronze(spark, bench.lake, "orders", TABLE, run(day, "live"), files=pattern).status

    with ThreadPoolExecutor(2) as pool:
        states = sorted(pool.map(load, (1, 2)))
    assert states in (["loaded", "skipped"], ["loaded", "unchanged"])
    assert bronze(bench) == [("1", "1")]
    assert len(pending_batches(bench.spark, bench.lake, "orders", run(3, "live"))) == 1


@pytest.mark.slow
def test_files_whose_rows_a_restore_took_away_are_new_again(bench: Workbench, live: Any) -> None:
    bench.write("a.csv", f"{HEAD}1,1,a\n")
    version = live(1).version
    bench.write("b.csv", f"{HEAD}2,2,b\n")
    live(2)
    bench.spark.sql(f"RESTORE TABLE delta.`{bench.lake.bronze('orders')}` TO VERSION AS OF {version}").collect()
    assert names(live(3)) == ["b.csv"]
    assert bronze(bench) == [("1", "1"), ("2", "2")]


@pytest.mark.slow
def test_a_run_that_begins_anew_reads_every_file_and_changes_what_differs(bench: Workbench, live: Any) -> None:
    bench.write("a.csv", f"{HEAD}1,1,a\n2,2,a\n")
    live(1)
    bench.sql(f"DELETE FROM delta.`{bench.lake.silver('orders')}` WHERE id = 2")
    bench.write("b.csv", f"{HEAD}3,3,b\n")
    anew = run(2, "live").model_copy(update={"anew": True})
    files = f"{bench.landing}/*.csv"

    loaded = ingest_bronze(bench.spark, bench.lake, "orders", TABLE, anew, files=files)

    assert names(loaded) == ["a.csv", "b.csv"]
    merged = bench.merge(TABLE, bench.gate(TABLE, loaded, 2), 2)
    assert (merged.rows.inserted, merged.rows.read) == (2, 3)
    assert bench.rows(bench.lake.silver("orders"), "id") == [(1,), (2,), (3,)]
    assert live(3).status == "skipped", "the next run goes on from there"
    keyless = csv_table({"load": "append", "keys": [], "sequence_by": []}, extract={"mode": "incremental"})
    refused = ingest_bronze(bench.spark, bench.lake, "orders", keyless, anew, files=files)
    assert "has no silver that goes by keys" in refused.reason
