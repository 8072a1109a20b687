"""Dead letters that come back."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.lakehouse import (
    LakehouseError,
    Letters,
    ReplayResult,
    SchemaMismatch,
    dead_letters_of,
    discard_letters,
    hold_batch,
    ids_of,
    letters_by_rule,
    log,
    replay_dlq,
)
from airflow_ingest.lakehouse.commits import highest_of
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

BAD_DAY = "id,amount,note\n1,ten,a\n2,20,b\n3,x,c\nmalformed\n"


@pytest.mark.slow
def test_a_fix_brings_rows_back_and_marks_their_letters(bench: Workbench) -> None:
    table = csv_table({"sequence_by": []})
    bench.load(table, bench.write("x.csv", BAD_DAY))
    fix = {"amount": "if(amount = 'ten', '10', amount)"}
    result = replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix=fix)
    assert (result.tried, result.replayed, result.rejected) == (3, 1, 2)
    assert result.reasons == {"cast": 1, "malformed": 1}
    assert bench.rows(bench.lake.silver("orders")) == [(1, 10, "a"), (2, 20, "b")]
    letters = bench.rows(bench.lake.dlq("orders"), "status", "attempts", "closed_by")
    assert letters == [("open", 1, None), ("open", 1, None), ("replayed", 1, "run_9")]
    again = replay_dlq(bench.spark, bench.lake, "orders", table, run(10), fix=fix)
    assert (again.tried, again.replayed) == (2, 0)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 10, "a"), (2, 20, "b")]


def test_a_replayed_row_keeps_its_place_and_does_not_overwrite_a_newer_one(bench: Workbench) -> None:
    table = csv_table({"sequence_by": []})
    bench.load(table, bench.write("a.csv", "id,amount,note\n1,ten,day one\n"), day=1)
    bench.load(table, bench.write("b.csv", "id,amount,note\n1,2,day two\n"), day=2)
    replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix={"amount": "'10'"})
    assert bench.rows(bench.lake.silver("orders")) == [(1, 2, "day two")]


@pytest.mark.slow
def test_a_batch_that_is_merged_again_after_a_replay_has_each_row_once(bench: Workbench) -> None:
    silver = {
        "columns": {"id": "int", "day": "date"},
        "keys": ["id", "day"],
        "partition_by": ["day"],
        "sequence_by": [],
    }
    table = csv_table(silver, quality={"max_reject_rate": "100%"})
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", "id,day\n1,2026-01-01\n2,unknown\n")))
    bench.merge(table, gate)
    replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix={"day": "'2026-03-01'"})
    again = bench.merge(table, gate)
    assert again.rows.unaccounted == 0
    assert bench.rows(bench.lake.silver("orders"), "id") == [(1,), (2,)]


@pytest.mark.slow
def test_a_dry_run_goes_in_parts_too_and_changes_nothing(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("x.csv", BAD_DAY))
    told: list[ReplayResult] = []
    how: Any = {"fix": {"amount": "'1'"}, "dry_run": True, "batch_size": 1, "progress": told.append}
    result = replay_dlq(bench.spark, bench.lake, "orders", csv_table(), run(9), **how)
    assert (result.tried, result.replayed, result.reasons) == (3, 2, {"malformed": 1})
    assert [part.tried for part in told] == [1, 2, 3]
    assert bench.rows(bench.lake.silver("orders"), "id") == [(2,)]
    assert {row[0] for row in bench.rows(bench.lake.dlq("orders"), "status")} == {"open"}


def test_letters_are_chosen_by_rule_and_limit(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("x.csv", BAD_DAY))
    chosen = replay_dlq(bench.spark, bench.lake, "orders", csv_table(), run(9), rule="cast", limit=1, dry_run=True)
    assert chosen.tried == 1


def test_a_held_batch_is_not_replayed(bench: Workbench) -> None:
    table = csv_table(quality={"max_reject_rate": "5%"})
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", BAD_DAY)))
    hold_batch(bench.spark, bench.lake, table, run(1), gate)
    assert replay_dlq(bench.spark, bench.lake, "orders", table, run(9)).tried == 0


def test_a_fix_of_an_unknown_column_is_refused(bench: Workbench) -> None:
    bench.load(csv_table(), bench.write("x.csv", BAD_DAY))
    with pytest.raises(SchemaMismatch, match="amuont"):
        replay_dlq(bench.spark, bench.lake, "orders", csv_table(), run(9), fix={"amuont": "1"})


def test_a_table_without_letters_has_nothing_to_replay(bench: Workbench) -> None:
    assert replay_dlq(bench.spark, bench.lake, "orders", csv_table(), run(9)).tried == 0


def test_a_replay_goes_in_parts_and_goes_on_where_it_was_stopped(bench: Workbench) -> None:
    table = csv_table(quality={"max_reject_rate": "100%"})
    bench.load(table, bench.write("x.csv", "id,amount,note\n1,ten,a\n2,ten,b\n3,x,c\n4,ten,d\n5,x,e\n"))
    fix = {"amount": "if(amount = 'ten', '10', amount)"}
    told: list[ReplayResult] = []

    def stop(result: ReplayResult) -> None:
        told.append(result)
        if result.tried == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix=fix, batch_size=2, progress=stop)
    tried = bench.rows(bench.lake.dlq("orders"), "tried_by")
    assert (len(told), tried.count(("run_9",))) == (1, 2)

    rest = replay_dlq(bench.spark, bench.lake, "orders", table, run(9), fix=fix, batch_size=2, progress=told.append)

    assert (rest.open, rest.tried, [result.tried for result in told]) == (3, 3, [2, 2, 3])
    assert told[0].replayed + rest.replayed == 3
    assert bench.rows(bench.lake.silver("orders"), "id") == [(1,), (2,), (4,)]
    assert bench.rows(bench.lake.dlq("orders"), "attempts") == [(1,)] * 5


@pytest.mark.slow
def test_letters_are_listed_chosen_by_id_and_discarded_for_good(bench: Workbench) -> None:
    table = csv_table()
    file = bench.write("x.csv", BAD_DAY)
    bench.load(table, file)
    spark, lake = bench.spark, bench.lake
    first, second, third = dead_letters_of(spark, lake, "orders")
    by_rule = {(found.rule, found.status): found.letters for found in letters_by_rule(spark, lake, "orders")}
    assert by_rule == {("cast", "open"): 2, ("malformed", "open"): 1}
    malformed = next(letter for letter in (first, second, third) if letter.raw)
    assert (malformed.raw, malformed.reasons[0].rule) == ("malformed", "malformed")

    chosen = ids_of(spark, lake, "orders", [malformed.id[:12]])
    assert discard_letters(spark, lake, "orders", run(8), Letters(ids=chosen), reason="it's noise") == 1
    assert discard_letters(spark, lake, "orders", run(9), Letters(ids=chosen), reason="again") == 0

    (letter,) = dead_letters_of(spark, lake, "orders", status="discarded")
    assert (letter.id, letter.closed_by, letter.note) == (malformed.id, "run_8", "it's noise")
    assert letter.closed_at
    assert letter.closed_at >= letter.rejected_at
    bench.load(table, file)
    assert [found.status for found in dead_letters_of(spark, lake, "orders", Letters(ids=chosen), status=None)] == [
        "discarded"
    ]
    with pytest.raises(LakehouseError, match="no dead letter has the id nothing"):
        ids_of(spark, lake, "orders", ["nothing"])
    with pytest.raises(LakehouseError, match="several dead letters' ids begin with"):
        ids_of(spark, lake, "orders", [""])


@pytest.mark.slow
def test_rows_that_went_in_by_other_keys_stay_as_they_are(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "LOOK_BACK", 3)
    broken = {"max_reject_rate": "100%", "rules": [{"name": "positive", "expect": "amount > 0"}]}
    mended = {"max_reject_rate": "100%"}
    bad = "id,amount,note\n1,1,a\n2,0,b\n3,0,c\n4,0,d\n5,-1,a\n"
    loaded = bench.load(csv_table(None, quality=broken), bench.write("1.csv", bad))
    assert loaded.rows.rejected == 4
    same = csv_table(None, quality=mended)
    assert replay_dlq(bench.spark, bench.lake, "orders", same, run(8), limit=3, batch_size=1).replayed == 3
    other = csv_table({"keys": ["note"]}, quality=mended)
    with pytest.raises(SchemaMismatch, match=r"keys was \[id\] and is \[note\]"):
        replay_dlq(bench.spark, bench.lake, "orders", other, run(9))
    with pytest.raises(SchemaMismatch, match=r"keys was \[id\] and is \[note\]"):
        bench.load(other, bench.write("2.csv", "id,amount,note\n9,9,a\n"), 2)
    commits = log.own_history(bench.spark, bench.lake.silver("orders"))
    assert highest_of(commits) == "2026-01-02T00:00:00+00:00"


@pytest.mark.slow
def test_a_time_comes_back_to_the_microsecond(bench: Workbench) -> None:
    columns = {"id": "int", "at": "timestamp", "n": "int"}
    table = csv_table(
        {"columns": columns, "keys": ["id", "at"], "sequence_by": []},
        source={"files": "unused", "format": "parquet"},
        quality={"max_reject_rate": "100%"},
    )
    path = str(bench.landing / "x")
    values = ", ".join(f"(1, TIMESTAMP'2026-10-25 01:30:00.12345{last}', 'bad')" for last in (6, 7))
    bench.spark.sql(f"SELECT * FROM VALUES {values} AS v(id, at, n)").coalesce(1).write.parquet(path)
    assert bench.load(table, f"{path}/*.parquet").rows.rejected == 2
    assert replay_dlq(bench.spark, bench.lake, "orders", table, run(1), rule="cast", fix={"n": "'5'"}).replayed == 2
    found = bench.rows(bench.lake.silver("orders"), "id", "at", "n")
    assert [(at.microsecond, n) for _, at, n in found] == [(123456, 5), (123457, 5)]
