"""`load: scd2` beyond what its oracle sees: what it reads, what it plans, and how dead letters come back."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.lakehouse import plan_table, replay_dlq
from airflow_ingest.lakehouse.silver import derivation
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

HEAD = "id,amount,note,at\n"
COLUMNS = {"id": "int", "amount": "int", "note": "string", "at": "timestamp"}


def table(**more: Any) -> Any:
    silver = {"columns": COLUMNS, "sequence_by": ["at"], "load": "scd2", "track": ["amount"], **more}
    return csv_table(silver, quality={"max_reject_rate": "100%"})


def day(bench: Workbench, number: int, *rows: str) -> str:
    return bench.write(f"{number}.csv", HEAD + "".join(f"{row}\n" for row in rows))


def versions(bench: Workbench) -> list[tuple[object, ...]]:
    rows = bench.spark.read.format("delta").load(bench.lake.silver("orders"))
    days = rows.selectExpr("id", "amount", "note", "day(_valid_from)", "day(_valid_to)")
    return sorted((tuple(row) for row in days.collect()), key=repr)


@pytest.mark.slow
def test_partial_changes_of_one_moment_make_one_version_with_the_values_of_all(bench: Workbench) -> None:
    partial = table(ignore_null_updates=True, sequence_by=["at", "n"], columns={**COLUMNS, "n": "int"})
    first = ["1,10,a,2026-01-01,1", "1,,b,2026-01-02,1", "1,11,,2026-01-02,2", "2,20,,2026-01-01,1"]
    head = HEAD.strip() + ",n\n"
    bench.load(partial, bench.write("1.csv", head + "\n".join(first) + "\n"), day=1)
    bench.load(partial, bench.write("2.csv", head + "2,,c,2026-01-01,2\n"), day=2)
    assert versions(bench) == [(1, 10, "a", 1, 2), (1, 11, "b", 2, None), (2, 20, "c", 1, None)]


@pytest.mark.slow
def test_days_in_their_order_and_repeated_rows_do_not_read_bronze_again(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("bronze was read again")

    monkeypatch.setattr(derivation, "read_bronze", refuse)
    bench.load(table(), day(bench, 1, "1,10,a,2026-01-01", "2,20,b,2026-01-01"), day=1)
    second = bench.load(
        table(), day(bench, 2, "1,11,c,2026-01-02", "1,12,d,2026-01-03", "2,20,b,2026-01-01", "3,30,,2026-01-02"), day=2
    )
    assert (second.rows.inserted, second.rows.unchanged, second.rows.unaccounted) == (3, 1, 0)
    third = bench.load(table(), day(bench, 3, "1,12,other,2026-01-04"), day=3)
    assert (third.rows.inserted, third.rows.updated) == (0, 1)
    assert versions(bench) == [
        (1, 10, "a", 1, 2),
        (1, 11, "c", 2, 3),
        (1, 12, "other", 3, None),
        (2, 20, "b", 1, None),
        (3, 30, None, 2, None),
    ]
    with pytest.raises(AssertionError, match="bronze was read again"):
        bench.load(table(), day(bench, 4, "1,9,late,2026-01-02"), day=4)


@pytest.mark.slow
def test_a_plan_counts_what_the_run_then_does(bench: Workbench) -> None:
    files = {
        1: day(bench, 1, "1,10,a,2026-01-01", "1,10,b,2026-01-05", "2,20,c,2026-01-02"),
        3: day(bench, 3, "1,30,a,2026-01-03", "2,,c,"),
        2: day(bench, 2, "1,10,a,2026-01-02", "1,11,a,2026-01-04"),
    }
    for number, file in files.items():
        planned = plan_table(bench.spark, bench.lake, "orders", table(), run(number), files=file)
        assert planned.rows == bench.load(table(), file, day=number).rows, number
    corrected = day(bench, 1, "1,10,a,2026-01-01")
    planned = plan_table(bench.spark, bench.lake, "orders", table(), run(1), files=corrected)
    again = bench.load(table(), corrected, day=1)
    assert planned.rows == again.rows
    assert again.rows.retracted == 2
    assert [version[:2] for version in versions(bench)] == [(1, 10), (1, 11), (1, 30)]


@pytest.mark.slow
def test_a_new_column_begins_versions_where_it_is_tracked_and_readers_of_the_old_ones_go_on(bench: Workbench) -> None:
    bench.load(table(), day(bench, 1, "1,10,a,2026-01-01", "2,20,b,2026-01-01"), day=1)
    columns = {"id": "int", "amount": "int", "note": "string", "at": "timestamp", "colour": "string"}
    wider = table(columns=columns, track=["amount", "colour"])
    file = bench.write("2.csv", "id,amount,note,at,colour\n1,10,a,2026-01-02,red\n2,20,b,2026-01-02,\n")
    loaded = bench.load(wider, file, day=2)
    assert (loaded.rows.inserted, loaded.rows.updated) == (1, 1)
    assert [version[:2] for version in versions(bench)] == [(1, 10), (1, 10), (2, 20)]


@pytest.mark.slow
def test_a_re_run_takes_back_what_todays_rules_reject(bench: Workbench) -> None:
    file = day(bench, 1, "1,10,a,2026-01-01", "2,999,b,2026-01-01")
    bench.load(table(), file, day=1)
    rules = {"rules": [{"expect": "amount < 100"}], "max_reject_rate": "100%"}
    strict = table().model_copy(update={"quality": csv_table(quality=rules).quality})
    again = bench.load(strict, file, day=1)
    assert (again.rows.rejected, again.rows.unchanged, again.rows.retracted) == (1, 1, 1)
    assert [version[:2] for version in versions(bench)] == [(1, 10)]


@pytest.mark.slow
def test_a_replayed_change_takes_its_place_in_time(bench: Workbench) -> None:
    bench.load(table(), day(bench, 1, "1,10,a,2026-01-01", "1,bad,b,2026-01-02", "1,12,c,2026-01-03"), day=1)
    replayed = replay_dlq(bench.spark, bench.lake, "orders", table(), run(1), fix={"amount": "'11'"})
    assert replayed.replayed == 1
    assert versions(bench) == [(1, 10, "a", 1, 2), (1, 11, "b", 2, 3), (1, 12, "c", 3, None)]
    bench.load(table(), str(bench.landing / "1.csv"), day=1)
    assert versions(bench) == [(1, 10, "a", 1, 2), (1, 11, "b", 2, 3), (1, 12, "c", 3, None)]


@pytest.mark.slow
def test_a_forgotten_deletion_still_ends_the_version_before_it(bench: Workbench) -> None:
    deleting = table(delete_when="note = 'gone'")
    bench.load(deleting, day(bench, 1, "1,10,a,2026-01-01", "1,,gone,2026-01-05"), day=1)
    bench.spark.sql(f"DELETE FROM delta.`{bench.lake.ops('tombstones/orders')}`").collect()
    late = bench.load(deleting, day(bench, 2, "1,11,late,2026-01-03"), day=2)
    assert (late.rows.inserted, late.rows.unaccounted) == (1, 0)
    assert versions(bench) == [(1, 10, "a", 1, 3), (1, 11, "late", 3, 5)]
