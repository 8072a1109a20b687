"""Bronze, gate and silver on ordinary days: what is kept, what is counted, what a repetition changes."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from airflow_ingest.lakehouse import (
    Lake,
    LakehouseError,
    RunInfo,
    SchemaMismatch,
    TableOwnedByOther,
    hold_batch,
    ingest_bronze,
    merge_silver,
)
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.progress import Progress, progress_of
from airflow_ingest.lakehouse.silver import merge
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

DAY = "id,amount,note\n1,10,a\n2,20,b\n"


def test_bronze_keeps_the_source_as_strings_and_says_where_it_came_from(bench: Workbench) -> None:
    result = bench.ingest(csv_table(), bench.write("x.csv", "id,amount,note\n007, 1.50,\n"))
    assert result.batch
    [row] = bench.spark.read.format("delta").load(bench.lake.bronze("orders")).collect()
    assert (row["id"], row["amount"], row["note"]) == ("007", " 1.50", None)
    assert row["_batch_id"] == result.batch.id
    assert (row["_run_id"], row["_source_system"], str(row["_processing_date"])) == ("run_1", "files", "2026-01-01")
    assert row["_source_file"].endswith("/x.csv")
    assert len(row["_record_hash"]) == 64


def test_the_commit_carries_the_batch_and_the_counts_come_from_delta(bench: Workbench) -> None:
    result = bench.ingest(csv_table(), bench.write("x.csv", DAY))
    [commit, *_] = history(bench.spark, bench.lake.bronze("orders"), 1)
    assert commit.metadata["pipeline"] == "shop"
    assert commit.metadata["batch"]["id"] == (result.batch and result.batch.id)
    assert result.rows.read == commit.metrics["numOutputRows"] == 2
    assert result.version == commit.version


@pytest.mark.slow
def test_loading_an_interval_again_replaces_its_rows(bench: Workbench) -> None:
    path = bench.write("x.csv", DAY)
    first = bench.ingest(csv_table(), path)
    bench.ingest(csv_table(), bench.write("y.csv", "id,amount,note\n9,9,z\n"), day=2)
    bench.write("x.csv", "id,amount,note\n1,11,a\n")
    again = bench.ingest(csv_table(), path)
    assert first.batch
    assert again.batch
    assert first.batch.id == again.batch.id
    assert again.batch.generation > first.batch.generation
    assert bench.rows(bench.lake.bronze("orders"), "id", "amount") == [("1", "11"), ("9", "9")]


@pytest.mark.slow
def test_loading_everything_twice_changes_no_row(bench: Workbench) -> None:
    path = bench.write("x.csv", DAY)
    bench.load(csv_table(), path)
    before = bench.rows(bench.lake.silver("orders"))
    again = bench.load(csv_table(), path)
    assert bench.rows(bench.lake.silver("orders")) == before == [(1, 10, "a"), (2, 20, "b")]
    assert (again.rows.inserted, again.rows.updated, again.rows.unchanged) == (0, 0, 2)


def test_values_that_do_not_cast_are_rejected_with_column_and_value(bench: Workbench) -> None:
    result = bench.load(csv_table(), bench.write("x.csv", "id,amount,note\n1,ten,a\n2,,b\nx,y,c\n"))
    assert bench.rows(bench.lake.silver("orders")) == [(2, None, "b")]
    assert bench.reasons() == [
        ("cast", "amount", "not a value of type int: ten"),
        ("cast", "amount", "not a value of type int: y"),
        ("cast", "id", "not a value of type int: x"),
        ("key", "id", "the key column id is NULL"),
    ]
    assert (result.rows.read, result.rows.rejected, result.rows.inserted) == (3, 2, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("expression", "lost"),
    [
        ("make_date(int(y), int(m), 1)", {"2026-13", "x-1"}),
        ("cast(y AS int) * 2000000", {"2026-1", "2026-13", "x-1"}),
        ("coalesce(int(y), 0)", set[str]()),
        ("try_cast(y AS int)", set[str]()),
    ],
    ids=["dates and casts", "overflow", "coalesce says what happens", "try_cast says what happens"],
)
def test_a_value_lost_inside_an_expression_rejects_its_row(bench: Workbench, expression: str, lost: set[str]) -> None:
    silver = {"columns": {"id": "string", "v": {"expr": expression}}, "keys": ["id"], "sequence_by": []}
    bench.load(csv_table(silver), bench.write("x.csv", "id,y,m\n2026-1,2026,1\n2026-13,2026,13\nx-1,x,1\n"))
    kept = {row[0] for row in bench.rows(bench.lake.silver("orders"), "id")}
    assert {"2026-1", "2026-13", "x-1"} - kept == lost


def test_a_row_that_where_cannot_judge_is_rejected(bench: Workbench) -> None:
    table = csv_table({"where": "int(note) > 1", "delete_when": "amount > 100"})
    result = bench.load(table, bench.write("x.csv", "id,amount,note\n1,1,one\n2,2,1\n3,3,3\n4,many,4\n"))
    assert bench.rows(bench.lake.silver("orders"), "id") == [(3,)]
    assert (result.rows.rejected, result.rows.filtered, result.rows.inserted) == (2, 1, 1)
    assert bench.reasons() == [
        ("cast", "amount", "not a value of type int: many"),
        ("cast", None, "no value for CAST(note AS INT)"),
    ]


@pytest.mark.slow
def test_other_keys_than_a_table_was_loaded_by_are_refused(bench: Workbench) -> None:
    file = bench.write("x.csv", "id,amount,note\n1,1,a\n")
    bench.load(csv_table(), file)
    other = csv_table({"keys": ["id", "note"], "sequence_by": []})
    with pytest.raises(
        SchemaMismatch, match=r"keys was \[id\] and is \[id, note\]; sequence_by was \[amount\] and is \[\]"
    ):
        bench.load(other, file, day=2)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 1, "a")]
    shutil.rmtree(bench.lake.silver("orders"))
    loaded = bench.ingest(other, file, day=3, kind="live")
    for batch in loaded.pending:
        bench.merge(other, bench.gate(other, loaded.model_copy(update={"batch": batch}), 3), 3)
    assert [len(loaded.pending), bench.rows(bench.lake.silver("orders"))] == [3, [(1, 1, "a")]]


@pytest.mark.slow
@pytest.mark.parametrize("load", ["merge", "append"])
def test_other_partitions_than_a_table_has_are_refused(bench: Workbench, load: str) -> None:
    keys: dict[str, Any] = {"keys": ["id"]} if load == "merge" else {"keys": [], "sequence_by": []}
    file = bench.write("x.csv", "id,amount,note\n1,1,a\n")
    bench.load(csv_table({"load": load, **keys}), file)
    with pytest.raises(SchemaMismatch, match=r"partition_by was \[\] and is \[id\]"):
        bench.load(csv_table({"load": load, "partition_by": ["id"], **keys}), file, day=2)
    assert bench.load(csv_table({"load": load, **keys}), file, day=2).status == "loaded"


def test_a_null_key_is_rejected_and_a_filter_only_counts(bench: Workbench) -> None:
    table = csv_table({"where": "note <> 'drop'"})
    result = bench.load(table, bench.write("x.csv", "id,amount,note\n,1,a\n2,2,drop\n3,3,c\n4,4,\n"))
    assert bench.rows(bench.lake.silver("orders"), "id") == [(3,)]
    assert (result.rows.rejected, result.rows.filtered, result.rows.inserted) == (1, 2, 1)
    assert bench.reasons() == [("key", "id", "the key column id is NULL")]


def test_the_latest_row_of_a_key_wins_inside_a_batch(bench: Workbench) -> None:
    result = bench.load(csv_table(), bench.write("x.csv", "id,amount,note\n1,9,old\n1,10,new\n1,8,older\n"))
    assert bench.rows(bench.lake.silver("orders")) == [(1, 10, "new")]
    assert result.rows.deduplicated == 2


def test_an_older_interval_loaded_late_never_overwrites_a_newer_one(bench: Workbench) -> None:
    table = csv_table({"sequence_by": []})
    bench.load(table, bench.write("b.csv", "id,amount,note\n1,2,day two\n"), day=2)
    late = bench.load(table, bench.write("a.csv", "id,amount,note\n1,1,day one\n3,3,x\n"), day=1)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 2, "day two"), (3, 3, "x")]
    assert (late.rows.superseded, late.rows.inserted) == (1, 1)


def test_a_corrected_interval_replaces_what_it_said_before(bench: Workbench) -> None:
    table = csv_table({"sequence_by": []})
    path = bench.write("x.csv", "id,amount,note\n1,99,wrong\n")
    bench.load(table, path)
    bench.write("x.csv", "id,amount,note\n1,1,right\n")
    result = bench.load(table, path)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 1, "right")]
    assert result.rows.updated == 1


def test_overwrite_leaves_only_the_last_load(bench: Workbench) -> None:
    table = csv_table({"load": "overwrite"}, extract={"mode": "full"})
    bench.load(table, bench.write("x.csv", DAY))
    loaded = bench.ingest(table, bench.write("x.csv", "id,amount,note\n3,30,c\n"), day=2, kind="live")
    bench.merge(table, bench.gate(table, loaded, 2), 2)
    assert bench.rows(bench.lake.silver("orders")) == [(3, 30, "c")]


@pytest.mark.slow
def test_an_older_load_without_an_interval_never_overwrites_a_newer_one(bench: Workbench) -> None:
    table = csv_table({"load": "overwrite"}, extract={"mode": "full"})
    gates = []
    for note in ("old", "new"):
        file = bench.write(f"{note}.csv", f"id,amount,note\n1,1,{note}\n")
        who = RunInfo(pipeline="shop", run_id=note)
        loaded = ingest_bronze(bench.spark, bench.lake, "orders", table, who, files=file)
        gates.append((who, bench.gate(table, loaded)))
    for who, gate in reversed(gates):
        last = merge_silver(bench.spark, bench.lake, "orders", table, who, gate.batch, gate)
    assert (last.status, last.rows.superseded) == ("unchanged", 1)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 1, "new")]


def test_a_full_table_is_loaded_once_by_a_backfill_and_then_left_alone(bench: Workbench) -> None:
    table = csv_table({"load": "overwrite"}, extract={"mode": "full"})
    path = bench.write("x.csv", DAY)
    assert bench.ingest(table, path).status == "loaded"
    assert bench.ingest(table, path, day=2).status == "loaded", "silver has not taken it yet"
    bench.load(table, path, day=3)
    again = bench.ingest(table, path, day=4)
    assert again.status == "skipped"
    assert "loaded in full" in again.reason


def test_an_interval_table_needs_a_run_with_an_interval(bench: Workbench) -> None:
    with pytest.raises(LakehouseError, match="Trigger the run with a logical date"):
        ingest_bronze(
            bench.spark,
            bench.lake,
            "orders",
            csv_table(),
            RunInfo(pipeline="shop", run_id="manual"),
            files=bench.write("x.csv", DAY),
        )


@pytest.mark.slow
def test_a_live_run_also_takes_what_was_left_behind_oldest_first(bench: Workbench) -> None:
    table = csv_table()
    first = bench.ingest(table, bench.write("a.csv", DAY), day=1, kind="live")
    bench.load(table, bench.write("b.csv", "id,amount,note\n5,5,e\n"), day=2)
    third = bench.ingest(table, bench.write("c.csv", ""), day=3, kind="live")
    assert first.batch
    assert third.batch
    assert [batch.id for batch in third.pending] == [first.batch.id, third.batch.id]


@pytest.mark.slow
def test_a_backfill_takes_its_own_batch_only(bench: Workbench) -> None:
    bench.ingest(csv_table(), bench.write("a.csv", DAY), day=1, kind="live")
    second = bench.ingest(csv_table(), bench.write("b.csv", DAY), day=2, kind="backfill")
    assert second.batch
    assert second.pending == (second.batch,)


@pytest.mark.slow
def test_a_held_batch_is_not_pending_until_it_is_loaded_again(bench: Workbench) -> None:
    table = csv_table(quality={"rules": [{"row_count": {"min": 5}}]})
    first = bench.ingest(table, bench.write("a.csv", DAY), day=1, kind="live")
    gate = bench.gate(table, first)
    assert gate.decision == "block"
    message = hold_batch(bench.spark, bench.lake, table, run(1), gate)
    assert "rule row_count: 2 rows, expected 5.." in message
    second = bench.ingest(table, bench.write("b.csv", DAY), day=2, kind="live")
    assert [batch.id for batch in second.pending] == [second.batch and second.batch.id]
    again = bench.ingest(table, bench.write("a.csv", DAY), day=1, kind="live")
    assert again.batch
    assert again.batch in again.pending


def test_another_pipeline_must_not_write_the_table(bench: Workbench) -> None:
    bench.ingest(csv_table(), bench.write("x.csv", DAY))
    other = Lake(bench.lake.root, "intruder")
    with pytest.raises(TableOwnedByOther, match="the pipeline 'shop' writes this table"):
        ingest_bronze(bench.spark, other, "orders", csv_table(), run(2), files=bench.write("y.csv", DAY))


RULES: list[Any] = [
    {"name": "positive", "expect": "amount > 0"},
    {"name": "noted", "expect": "note IS NOT NULL", "severity": "warning"},
    {"accepted_values": {"column": "note", "values": ["a", "b", "it's"]}},
    {"range": {"column": "amount", "max": 100}},
    {"pattern": {"column": "note", "regex": "^[a-z']+$"}},
    {"null_rate": {"column": "note", "max": "50%"}, "severity": "warning"},
    {"unique": ["amount"]},
    {"row_count": {"min": 1, "max": 10}},
    {"duplicate_rate": {"columns": ["amount"], "max": 0}},
    {"drift": {"metric": "sum(amount)"}, "severity": "info"},
    {"name": "total", "sql": "SELECT sum(amount) = 140 FROM batch"},
    {"name": "apart", "sql": "SELECT count(DISTINCT amount) = 3 FROM batch"},
    {"name": "seven", "sql": "SELECT count(*) = 7 FROM batch", "of": "all"},
]


def test_every_rule_is_counted_and_error_rows_go_to_the_dlq(bench: Workbench) -> None:
    table = csv_table(quality={"rules": RULES})
    content = "id,amount,note\n1,10,a\n2,-1,b\n3,101,it's\n4,40,NOPE\n5,,\n6,60,\n7,70,b\n"
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", content)))
    found = {rule.name: (rule.passed, rule.failing) for rule in gate.rules}
    assert found == {
        "positive": (False, 2),
        "noted": (False, 2),
        "accepted_values(note)": (False, 1),
        "range(amount)": (False, 1),
        "pattern(note)": (False, 1),
        "null_rate(note)": (True, 1),
        "unique(amount)": (True, 0),
        "row_count": (True, 0),
        "duplicate_rate(amount)": (True, 0),
        "drift(sum(amount))": (True, 0),
        "total": (True, 0),
        "apart": (True, 0),
        "seven": (True, 0),
    }
    assert gate.rejections == {"positive": 2, "accepted_values(note)": 1, "range(amount)": 1, "pattern(note)": 1}
    assert gate.decision == "warn"
    assert bench.rows(bench.lake.dlq("orders"), "payload")[0][0].startswith('{"id":"2","amount":"-1"')
    recorded = bench.rows(bench.lake.ops("quality_results"), "rule", "passed", "failing")
    assert {name: (passed, failing) for name, passed, failing in recorded} == found


@pytest.mark.slow
def test_a_batch_that_drifts_from_those_before_it_warns(bench: Workbench) -> None:
    table = csv_table(quality={"rules": [{"drift": {"metric": "avg(amount)", "sigmas": 3}, "severity": "warning"}]})
    gates = []
    for day, amount in enumerate((10, 11, 12, 14, 15), start=1):
        loaded = bench.ingest(table, bench.write(f"{day}.csv", f"id,amount,note\n{day},{amount},x\n"), day)
        gates.append(bench.gate(table, loaded, day))
    assert [gate.decision for gate in gates] == ["pass", "pass", "pass", "pass", "pass"]
    far = bench.ingest(table, bench.write("6.csv", "id,amount,note\n6,40,x\n"), 6)
    assert (
        bench.gate(table, far, 6)
        .reasons[0]
        .startswith("rule drift(avg(amount)): avg(amount) is 40; in the last 5 batches it was 12.4 ±")
    )


@pytest.mark.parametrize(
    ("rule", "content", "reason"),
    [
        ({"unique": ["amount"]}, "1,10,a\n2,10,b\n", "rule unique(amount): 2 rows share their (amount)"),
        ({"null_rate": {"column": "note", "max": "10%"}}, "1,1,\n2,2,b\n", "50.00% of note is NULL, allowed 10.00%"),
        ({"row_count": {"max": 1}}, "1,1,a\n2,2,b\n", "rule row_count: 2 rows, expected 0..1"),
        (
            {"name": "few", "sql": "SELECT sum(amount) < 3 FROM batch"},
            "1,1,a\n2,2,b\n",
            "rule few: its query gives False",
        ),
    ],
    ids=["unique", "null_rate", "row_count", "sql"],
)
def test_a_broken_batch_rule_blocks(bench: Workbench, rule: Any, content: str, reason: str) -> None:
    table = csv_table(quality={"rules": [rule]})
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", "id,amount,note\n" + content)))
    assert gate.decision == "block"
    assert reason in gate.reasons[0]


@pytest.mark.slow
@pytest.mark.parametrize("content", ["1,10,a\n", "x,10,a\n", ""], ids=["none rejected", "all rejected", "no rows"])
def test_the_gate_counts_under_adaptive_execution_too(bench: Workbench, content: str) -> None:
    bench.spark.conf.set("spark.sql.adaptive.enabled", "true")
    gate = bench.gate(csv_table(), bench.ingest(csv_table(), bench.write("x.csv", "id,amount,note\n" + content)))
    assert gate.rows.read == content.count("\n")


def test_too_many_rejected_rows_block(bench: Workbench) -> None:
    table = csv_table(quality={"max_reject_rate": "5%"})
    gate = bench.gate(table, bench.ingest(table, bench.write("x.csv", "id,amount,note\n1,1,a\n2,two,b\n")))
    assert (gate.decision, gate.reasons) == ("block", ("50.00% of the rows were rejected, allowed 5.00%",))


def test_gating_a_batch_again_does_not_double_its_dead_letters(bench: Workbench) -> None:
    loaded = bench.ingest(csv_table(), bench.write("x.csv", "id,amount,note\nx,1,a\nx,1,a\n"))
    bench.gate(csv_table(), loaded)
    before = bench.rows(bench.lake.dlq("orders"), "id")
    bench.gate(csv_table(), loaded)
    assert bench.rows(bench.lake.dlq("orders"), "id") == before
    assert len(set(before)) == 2


def test_new_columns_evolve_silver_and_old_rows_stay(bench: Workbench) -> None:
    as_it_came = {"columns": None, "keys": ["id"], "sequence_by": []}
    bench.load(csv_table(as_it_came), bench.write("a.csv", "id,amount\n1,10\n"), day=1)
    bench.load(csv_table(as_it_came), bench.write("b.csv", "id,amount,note\n2,20,new\n"), day=2)
    assert bench.rows(bench.lake.silver("orders")) == [("1", "10", None), ("2", "20", "new")]


@pytest.mark.slow
def test_a_merge_bounds_the_keys_it_looks_for_whatever_the_clock_says(bench: Workbench) -> None:
    columns = {"id": "int", "at": "timestamp", "note": "string"}
    table = csv_table({"columns": columns, "keys": ["id", "at"], "cluster_by": ["at"], "sequence_by": []})
    bench.spark.conf.set("spark.sql.session.timeZone", "Europe/Zurich")
    try:
        for day, note in enumerate("ab", 1):  # half past two comes twice on that day
            file = bench.write(f"{day}.csv", f"id,at,note\n1,2026-10-25T02:30:00+01:00,{note}\n")
            gate = bench.gate(table, bench.ingest(table, file, day), day)
            result = bench.merge(table, gate, day)
    finally:
        bench.spark.conf.set("spark.sql.session.timeZone", "UTC")
    assert [(found.column, found.low, found.high) for found in gate.partitions] == [
        ("at", "2026-10-25 01:30:00.000000Z", "2026-10-25 01:30:00.000000Z")
    ]
    assert (result.rows.inserted, result.rows.updated) == (0, 1)
    assert bench.rows(bench.lake.silver("orders"), "id", "note") == [(1, "b")]


@pytest.mark.slow
def test_a_merge_takes_what_the_gate_saw_though_bronze_is_loaded_again_meanwhile(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = csv_table()
    file = bench.write("x.csv", DAY)
    gate = bench.gate(table, bench.ingest(table, file))

    def overtaken(*asked: Any) -> Progress:
        known = progress_of(*asked)
        bench.write("x.csv", "id,amount,note\nx,1,a\n2,1,b\n2,2,b\n")
        bench.ingest(table, file)
        return known

    monkeypatch.setattr(merge, "progress_of", overtaken)
    assert bench.merge(table, gate).rows.inserted == 2
    assert bench.rows(bench.lake.silver("orders")) == [(1, 10, "a"), (2, 20, "b")]


def test_no_setting_of_a_load_stays_in_the_session(bench: Workbench) -> None:
    before = dict(bench.spark.conf.getAll)
    bench.load(csv_table(), bench.write("x.csv", DAY))
    changed = set(dict(bench.spark.conf.getAll).items()) ^ set(before.items())
    assert {key for key, _ in changed} <= {
        "spark.databricks.delta.lastCommitVersionInSession",  # Delta's own, as are the next two
        "spark.sql.parquet.fieldId.read.enabled",
        "spark.sql.parquet.fieldId.write.enabled",
    }


def test_columns_that_nothing_names_pass_on_whatever_else_reads_them(bench: Workbench) -> None:
    silver = {
        "columns": {"id": "int", "total": {"from": "amount", "type": "int"}, "*": "keep"},
        "where": "note <> 'skip'",
        "sequence_by": ["at"],
        "delete_when": "op = 'D'",
    }
    bench.load(csv_table(silver), bench.write("x.csv", "id,amount,note,at,op\n1,10,a,1,I\n2,20,skip,1,I\n3,30,c,2,I\n"))
    found = bench.rows(bench.lake.silver("orders"))
    assert found == [(1, 10, "a", "1", "I"), (3, 30, "c", "2", "I")]
