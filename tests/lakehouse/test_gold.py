"""Gold: what is recomputed, when nothing is, and what a broken rule leaves in place."""

from __future__ import annotations

import shutil
from datetime import date
from typing import Any

import pytest

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse import LakehouseError, RulesBroken, SourceNotFound, log
from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = pytest.mark.spark

SALES = {
    "columns": {"id": "int", "day": "date", "amount": "int"},
    "keys": ["id"],
    "sequence_by": [],
    "partition_by": [],
}


def sales() -> Table:
    return csv_table(SALES)


def daily(**more: Any) -> Gold:
    return Gold.model_validate(
        {
            "sql": "SELECT day, sum(amount) AS total FROM silver.orders GROUP BY day",
            "load": "replace",
            "partition_by": ["day"],
            **more,
        }
    )


def load_day(bench: Workbench, day: int, *rows: str) -> None:
    bench.load(sales(), bench.write(f"{day}.csv", "\n".join(["id,day,amount", *rows]) + "\n"), day)


def totals(bench: Workbench, name: str = "daily") -> dict[date, int]:
    return dict(bench.rows(bench.lake.gold(name), "day", "total"))


def test_an_input_that_was_never_published_is_named(bench: Workbench) -> None:
    with pytest.raises(SourceNotFound, match=r"silver\.orders has no published version"):
        bench.refresh("daily", daily())


def test_only_the_changed_partitions_are_recomputed_late_data_included(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10", "2,2026-01-01,5")
    assert bench.refresh("daily", daily()).reason == "recomputed whole"
    load_day(bench, 2, "3,2026-01-02,7", "4,2026-01-01,1")
    load_day(bench, 3, "5,2026-01-03,9")
    result = bench.refresh("daily", daily())
    assert result.reason == "recomputed 3 partitions"
    assert totals(bench) == {date(2026, 1, 1): 16, date(2026, 1, 2): 7, date(2026, 1, 3): 9}
    load_day(bench, 4, "6,2026-01-02,1")
    again = bench.refresh("daily", daily())
    assert (again.reason, again.rows.inserted) == ("recomputed 1 partitions", 1)
    assert totals(bench)[date(2026, 1, 2)] == 8


@pytest.mark.slow
def test_a_row_that_moves_recomputes_the_partition_it_left(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10", "2,2026-01-02,5")
    bench.refresh("daily", daily())
    load_day(bench, 2, "1,2026-01-02,10")
    bench.refresh("daily", daily())
    assert totals(bench) == {date(2026, 1, 2): 15}


def test_nothing_new_is_nothing_done(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10")
    first = bench.refresh("daily", daily())
    again = bench.refresh("daily", daily())
    assert (again.status, again.version) == ("unchanged", first.version)


@pytest.mark.slow
def test_what_reads_the_clock_is_made_anew_by_every_run(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10")
    recent = daily(sql="SELECT day, sum(amount) AS total FROM silver.orders WHERE day < current_date() GROUP BY day")
    assert [bench.refresh("daily", recent).reason for _ in range(2)] == ["recomputed whole"] * 2
    assert totals(bench) == {date(2026, 1, 1): 10}


@pytest.mark.slow
def test_a_changed_query_is_recomputed_whole(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10")
    bench.refresh("daily", daily())
    other = daily(sql="SELECT day, sum(amount) + 1 AS total FROM silver.orders GROUP BY day")
    assert bench.refresh("daily", other).reason == "recomputed whole"
    assert totals(bench) == {date(2026, 1, 1): 11}


@pytest.mark.slow
def test_a_rolling_window_reaches_the_days_after_a_late_row(bench: Workbench) -> None:
    weekly = Gold.model_validate(
        {
            "aggregate": {
                "from": "gold.daily",
                "over": {"order_by": "day", "rolling": "3 days"},
                "measures": {"total": "sum(total)"},
            },
            "load": "replace",
            "partition_by": ["day"],
        }
    )
    load_day(bench, 1, *(f"{day},2026-01-0{day},{10**day}" for day in range(1, 6)))
    bench.refresh("daily", daily())
    bench.refresh("rolling", weekly)
    load_day(bench, 2, "9,2026-01-02,1")
    bench.refresh("daily", daily())
    result = bench.refresh("rolling", weekly)
    assert result.reason == "recomputed 3 partitions"
    assert totals(bench, "rolling") == {
        date(2026, 1, 1): 10,
        date(2026, 1, 2): 111,
        date(2026, 1, 3): 1111,
        date(2026, 1, 4): 11101,
        date(2026, 1, 5): 111000,
    }


@pytest.mark.slow
def test_overwrite_replaces_the_whole_table(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10")
    whole = daily(load="overwrite", partition_by=[])
    bench.refresh("daily", whole)
    load_day(bench, 2, "1,2026-01-05,3")
    assert bench.refresh("daily", whole).reason == "recomputed whole"
    assert totals(bench) == {date(2026, 1, 5): 3}


def test_a_broken_rule_keeps_the_old_version(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10")
    checked = daily(quality={"rules": [{"name": "sane", "expect": "total < 100"}, {"row_count": {"min": 1}}]})
    held = bench.refresh("daily", checked).rules
    assert [(rule.name, rule.passed, rule.value) for rule in held] == [("sane", True, None), ("row_count", True, 1.0)]
    load_day(bench, 2, "2,2026-01-02,1000")
    with pytest.raises(RulesBroken, match=r"gold\.daily keeps its old version.*sane: 1 rows break it") as broken:
        bench.refresh("daily", checked)
    assert [(rule.name, rule.passed, rule.sample) for rule in broken.value.rules] == [
        ("sane", False, ("1000",)),
        ("row_count", True, ()),
    ]
    assert totals(bench) == {date(2026, 1, 1): 10}


def test_a_rule_that_has_no_value_is_broken_and_keeps_the_old_version(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,0")
    rules = [
        {"name": "share", "sql": "SELECT count(*) / sum(total) > 0 FROM batch"},
        {"name": "text", "expect": "cast(concat('t', total) AS INT) > 0"},
    ]
    with pytest.raises(RulesBroken, match=r"share: its query gives NULL, not true; text: 1 rows break it"):
        bench.refresh("daily", daily(quality={"rules": rules}))


@pytest.mark.slow
def test_a_rule_on_the_whole_sees_the_partitions_that_stay(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10", "2,2026-01-02,5")
    rules = [{"row_count": {"min": 2}}, {"name": "apart", "unique": ["total"]}]
    checked = daily(quality={"rules": rules})
    bench.refresh("daily", checked)
    load_day(bench, 2, "2,2026-01-02,7")
    assert bench.refresh("daily", checked).reason == "recomputed 1 partitions"
    load_day(bench, 3, "2,2026-01-02,10")
    with pytest.raises(LakehouseError, match="apart: 2 rows share their"):
        bench.refresh("daily", checked)
    assert totals(bench) == {date(2026, 1, 1): 10, date(2026, 1, 2): 7}


def test_an_input_that_was_made_anew_is_taken_whole(bench: Workbench) -> None:
    columns = "day date, amount int"
    first, second = date(2026, 1, 1), date(2026, 1, 2)
    bench.publish("silver.orders", columns, (first, 1), (second, 2))
    bench.refresh("daily", daily())
    shutil.rmtree(bench.lake.silver("orders"))
    bench.publish("silver.orders", columns, (first, 3))
    bench.sql("INSERT INTO {silver.orders} VALUES (DATE'2026-01-02', 4)")
    again = bench.refresh("daily", daily())
    assert (again.reason, totals(bench)) == ("recomputed whole", {first: 3, second: 4})


@pytest.mark.slow
def test_an_input_that_was_made_anew_may_have_fewer_versions(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "_shared_folder", lambda *_: None)  # Spark is elsewhere, and has to read the logs
    for amount in (1, 2, 3):
        bench.publish("silver.orders", "day date, amount int", (date(2026, 1, 1), amount))
    bench.refresh("daily", daily())
    shutil.rmtree(bench.lake.silver("orders"))
    bench.publish("silver.orders", "day date, amount int", (date(2026, 1, 1), 9))
    assert bench.refresh("daily", daily()).reason == "recomputed whole"
    assert totals(bench) == {date(2026, 1, 1): 9}


@pytest.mark.slow
def test_tables_may_be_joined_and_aliased(bench: Workbench) -> None:
    load_day(bench, 1, "1,2026-01-01,10")
    bench.refresh("daily", daily())
    sql = """
        SELECT o.id, orders.amount, d.total
        FROM silver.orders JOIN gold.daily AS d USING (day) JOIN silver.orders o ON o.id = orders.id
    """
    result = bench.refresh("joined", Gold.model_validate({"sql": sql}))
    assert result.rows.inserted == 1
    assert bench.rows(bench.lake.gold("joined")) == [(1, 10, 10)]
