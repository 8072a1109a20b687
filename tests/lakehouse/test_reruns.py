"""Batches that come again, late, out of order, or after something went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import LakehouseError, decide_held, hold_batch, log, replay_dlq
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.progress import progress_of
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

BY_ARRIVAL: dict[str, Any] = {"sequence_by": []}
HEAD = "id,amount,note\n"


def day(bench: Workbench, number: int, rows: str) -> str:
    return bench.write(f"{number}.csv", HEAD + rows)


def silver(bench: Workbench) -> list[tuple[object, ...]]:
    return bench.rows(bench.lake.silver("orders"))


@pytest.mark.slow
def test_a_key_that_a_rewritten_file_no_longer_has_falls_back_to_what_the_other_days_say(bench: Workbench) -> None:
    table = csv_table(BY_ARRIVAL)
    bench.load(table, day(bench, 1, "1,1,one\n3,3,x\n"), day=1)
    bench.load(table, day(bench, 2, "1,2,two\n2,2,gone\n4,4,kept\n"), day=2)
    again = bench.load(table, day(bench, 2, "4,4,kept\n5,5,new\n"), day=2)
    assert silver(bench) == [(1, 1, "one"), (3, 3, "x"), (4, 4, "kept"), (5, 5, "new")]
    rows = again.rows
    assert (rows.read, rows.inserted, rows.unchanged, rows.updated, rows.deleted) == (2, 1, 1, 0, 0)
    assert rows.retracted == 2


@pytest.mark.slow
def test_a_day_that_comes_again_has_what_the_configuration_says_now(bench: Workbench) -> None:
    columns = {"id": "int", "amount": "int", "note": "string"}
    file = day(bench, 1, "1,1,a\n2,2,b\n")
    bench.load(csv_table(), file, day=1)
    bench.load(csv_table(), day(bench, 2, "2,5,newer\n"), day=2)
    upper = csv_table({"columns": {**columns, "note": {"expr": "upper(note)"}, "twice": {"expr": "int(amount) * 2"}}})
    again = bench.load(upper, file, day=1)
    assert bench.rows(bench.lake.silver("orders"), "id", "note", "twice") == [(1, "A", 2), (2, "newer", None)]
    assert (again.rows.updated, again.rows.superseded) == (1, 1)
    assert bench.load(upper, file, day=1).rows.written == 0


@pytest.mark.slow
def test_a_corrected_value_that_is_older_gives_way_to_another_day(bench: Workbench) -> None:
    table = csv_table({"sequence_by": ["amount"]})
    bench.load(table, day(bench, 1, "1,5,one\n2,5,x\n"), day=1)
    bench.load(table, day(bench, 2, "1,9,two\n2,9,y\n"), day=2)
    again = bench.load(table, day(bench, 2, "1,3,corrected\n2,7,corrected\n"), day=2)
    assert silver(bench) == [(1, 5, "one"), (2, 7, "corrected")]
    assert (again.rows.superseded, again.rows.updated, again.rows.retracted) == (1, 1, 1)


@pytest.mark.slow
def test_an_interval_that_comes_again_empty_takes_its_rows_back(bench: Workbench) -> None:
    table = csv_table(BY_ARRIVAL)
    bench.load(table, day(bench, 1, "1,1,a\n"), day=1)
    again = bench.load(table, day(bench, 1, ""), day=1)
    assert silver(bench) == []
    assert (again.rows.read, again.rows.retracted) == (0, 1)


@pytest.mark.slow
def test_a_day_whose_gate_failed_is_taken_by_the_next_live_run(bench: Workbench) -> None:
    table = csv_table()
    bench.ingest(table, day(bench, 1, "1,1,a\n"), day=1, kind="live")
    loaded = bench.ingest(table, day(bench, 2, ""), day=2, kind="live")
    assert [batch.run_id for batch in loaded.pending] == ["run_1", "run_2"]
    for batch in loaded.pending:
        gate = bench.gate(table, loaded.model_copy(update={"batch": batch}), 2)
        bench.merge(table, gate, 2)
    assert silver(bench) == [(1, 1, "a")]
    third = bench.ingest(table, day(bench, 3, "3,3,c\n"), day=3, kind="live")
    assert [batch.run_id for batch in third.pending] == ["run_3"]
    before = bench.spark.read.format("delta").load(bench.lake.silver("orders")).collect()
    bench.load(table, day(bench, 1, "1,1,a\n"), day=1)
    assert silver(bench) == [(1, 1, "a")]
    assert {row["_sequence"] for row in before} <= {
        row["_sequence"] for row in bench.spark.read.format("delta").load(bench.lake.silver("orders")).collect()
    }


@pytest.mark.slow
def test_a_backfill_takes_its_own_batch_alone(bench: Workbench) -> None:
    table = csv_table()
    bench.ingest(table, day(bench, 1, "1,1,a\n"), day=1, kind="live")
    loaded = bench.ingest(table, day(bench, 2, "2,2,b\n"), day=2, kind="backfill")
    assert loaded.pending == (loaded.batch,)
    bench.merge(table, bench.gate(table, loaded, 2), 2)
    third = bench.ingest(table, day(bench, 3, "3,3,c\n"), day=3, kind="live")
    assert [batch.run_id for batch in third.pending] == ["run_1", "run_3"]


@pytest.mark.slow
def test_a_batch_stays_behind_however_many_commits_come_after_it(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "LOOK_BACK", 3)
    table = csv_table()
    bench.ingest(table, day(bench, 1, "1,1,a\n"), day=1, kind="live")
    bench.load(table, day(bench, 2, "2,2,b\n"), day=2)
    path = bench.lake.silver("orders")
    for note in range(5):
        bench.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('note' = '{note}')")
    third = bench.ingest(table, day(bench, 3, "3,3,c\n"), day=3, kind="live")
    assert [batch.run_id for batch in third.pending] == ["run_1", "run_3"]


@pytest.mark.slow
def test_a_held_day_that_is_released_gives_way_to_newer_days(bench: Workbench) -> None:
    table = csv_table(BY_ARRIVAL, quality={"max_reject_rate": "30%"})
    held = bench.ingest(table, day(bench, 3, "1,3,three\n2,3,three\nx,x,x\n"), day=3, kind="live")
    gate = bench.gate(table, held, 3)
    assert gate.decision == "block"
    hold_batch(bench.spark, bench.lake, table, run(3), gate)
    fourth = bench.ingest(table, day(bench, 4, "1,4,four\n"), day=4, kind="live")
    assert [batch.run_id for batch in fourth.pending] == ["run_4"]
    bench.merge(table, bench.gate(table, fourth, 4), 4)
    assert silver(bench) == [(1, 4, "four")]

    decide_held(bench.spark, bench.lake, "orders", gate.batch.id, "released", reason="seen", run_id="by hand")
    fifth = bench.ingest(table, day(bench, 5, ""), day=5, kind="live")
    assert [(batch.run_id, batch.released) for batch in fifth.pending] == [("run_3", True), ("run_5", False)]
    released = bench.gate(table, fifth.model_copy(update={"batch": fifth.pending[0]}), 5)
    assert released.decision == "warn"
    bench.merge(table, released, 5)
    assert silver(bench) == [(1, 4, "four"), (2, 3, "three")]


def test_what_is_not_held_cannot_be_released(bench: Workbench) -> None:
    with pytest.raises(LakehouseError, match="the batch b1 is not held"):
        decide_held(bench.spark, bench.lake, "orders", "b1", "released", reason="", run_id="x")


@pytest.mark.slow
def test_a_discarded_day_never_reaches_silver_until_it_is_loaded_again(bench: Workbench) -> None:
    table = csv_table(quality={"max_reject_rate": "30%"})
    gate = bench.gate(table, bench.ingest(table, day(bench, 1, "1,1,a\nx,x,x\n"), day=1, kind="live"), 1)
    hold_batch(bench.spark, bench.lake, table, run(1), gate)
    decide_held(bench.spark, bench.lake, "orders", gate.batch.id, "discarded", reason="bad", run_id="by hand")
    second = bench.ingest(table, day(bench, 2, "2,2,b\n"), day=2, kind="live")
    assert [batch.run_id for batch in second.pending] == ["run_2"]
    again = bench.ingest(table, day(bench, 1, "1,1,a\n"), day=1, kind="live")
    assert [batch.run_id for batch in again.pending] == ["run_1", "run_2"]


@pytest.mark.slow
def test_after_a_restore_silver_takes_again_what_it_lost(bench: Workbench) -> None:
    table = csv_table()
    bench.load(table, day(bench, 1, "1,1,a\n"), day=1)
    [published, *_] = history(bench.spark, bench.lake.silver("orders"), 1)
    bench.load(table, day(bench, 2, "2,2,b\n"), day=2)
    path = bench.lake.silver("orders")
    bench.spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF {published.version}").collect()
    third = bench.ingest(table, day(bench, 3, ""), day=3, kind="live")
    assert [batch.run_id for batch in third.pending] == ["run_2", "run_3"]


@pytest.mark.slow
def test_where_the_log_was_cleaned_up_the_rows_tell_what_is_behind(bench: Workbench) -> None:
    table = csv_table()
    bench.ingest(table, day(bench, 1, "1,1,a\n"), day=1, kind="live")
    bronze = bench.lake.bronze("orders")
    bench.spark.sql(f"ALTER TABLE delta.`{bronze}` SET TBLPROPERTIES ('delta.checkpointInterval' = '2')")
    bench.load(table, day(bench, 2, "2,2,b\n"), day=2)
    loaded = bench.ingest(table, day(bench, 3, "3,3,c\n"), day=3, kind="live")
    for file in Path(bronze, "_delta_log").glob("*.json"):
        if int(file.stem) < (loaded.version or 0):
            file.unlink()
    for file in Path(bench.lake.silver("orders"), "_delta_log").glob("*.json"):
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)
        file.write_text(file.read_text().replace("progress", "forgotten"))
    behind = progress_of(bench.spark, bench.lake, "orders").behind
    assert {batch.run_id for batch in behind} == {"run_1", "run_3"}


@pytest.mark.slow
def test_a_whole_table_older_than_the_published_one_is_superseded(bench: Workbench) -> None:
    table = csv_table({"load": "overwrite"}, extract={"mode": "full"})
    old = bench.ingest(table, day(bench, 1, "1,1,old\n"), day=1, kind="live")
    new = bench.ingest(table, day(bench, 2, "1,2,new\n"), day=2, kind="live")
    bench.merge(table, bench.gate(table, new, 2), 2)
    late = bench.merge(table, bench.gate(table, old, 1), 1)
    assert silver(bench) == [(1, 2, "new")]
    assert (late.status, late.rows.superseded) == ("unchanged", 1)
    third = bench.ingest(table, day(bench, 3, ""), day=3, kind="live")
    assert [batch.run_id for batch in third.pending] == ["run_3"]


def letters(bench: Workbench) -> list[tuple[object, ...]]:
    return bench.rows(bench.lake.dlq("orders"), "payload", "status", "attempts")


BAD = "1,ten,a\n1,ten,a\n2,20,b\n3,x,c\n"


@pytest.fixture
def replayed(bench: Workbench) -> tuple[Table, str]:
    """A day with two equal bad rows, of which a replay has fixed one, and a third that is still open."""
    table = csv_table(BY_ARRIVAL)
    path = day(bench, 1, BAD)
    bench.load(table, path)
    fix = {"amount": "if(amount = 'ten', '10', amount)"}
    replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix=fix, limit=1)
    assert [row[1] for row in letters(bench)].count("replayed") <= 1
    replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix=fix)
    assert silver(bench) == [(1, 10, "a"), (2, 20, "b")]
    return table, path


@pytest.mark.slow
def test_a_day_that_comes_again_keeps_its_replayed_rows_fixed(bench: Workbench, replayed: tuple[Table, str]) -> None:
    before = letters(bench)
    again = bench.load(*replayed)
    assert silver(bench) == [(1, 10, "a"), (2, 20, "b")]
    assert letters(bench) == before
    assert [row[1] for row in before] == ["replayed", "replayed", "open"]
    assert (again.rows.read, again.rows.rejected, again.rows.deduplicated, again.rows.unchanged) == (4, 1, 1, 2)


@pytest.mark.slow
def test_a_corrected_source_wins_over_the_fix(bench: Workbench, replayed: tuple[Table, str]) -> None:
    table, _ = replayed
    bench.load(table, day(bench, 1, "1,11,a\n2,20,b\n3,x,c\n"))
    assert silver(bench) == [(1, 11, "a"), (2, 20, "b")]
    assert [row[1] for row in letters(bench)] == ["superseded", "superseded", "open"]


@pytest.mark.slow
def test_a_fixed_row_takes_part_where_keys_are_derived_again(bench: Workbench, replayed: tuple[Table, str]) -> None:
    table, _ = replayed
    bench.load(table, day(bench, 2, "1,2,two\n2,2,two\n"), day=2)
    bench.load(table, day(bench, 2, "9,9,other\n"), day=2)
    assert silver(bench) == [(1, 10, "a"), (2, 20, "b"), (9, 9, "other")]


@pytest.mark.slow
def test_rules_that_were_relaxed_close_the_letters_of_a_day_that_comes_again(bench: Workbench) -> None:
    path = day(bench, 1, "1,1,a\n2,2,b\n")
    strict = csv_table(quality={"rules": [{"name": "big", "expect": "amount > 1"}]})
    bench.load(strict, path)
    assert [row[1] for row in letters(bench)] == ["open"]
    bench.load(csv_table(), path)
    assert [row[1] for row in letters(bench)] == ["superseded"]
    assert silver(bench) == [(1, 1, "a"), (2, 2, "b")]
    bench.load(strict, path)
    assert [row[1] for row in letters(bench)] == ["open"]
    assert silver(bench) == [(2, 2, "b")]
