"""`load: merge` in gold: what differs is written and nothing else, and the table ends as if made anew."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse import LakehouseError, LoadResult
from airflow_ingest.lakehouse.gold import merge, publication
from airflow_ingest.lakehouse.log import history
from tests.lakehouse.conftest import Workbench

pytestmark = pytest.mark.spark

ORDERS = "id int, day date, shop string, amount int"
DAY = date(2026, 1, 1)
TOTALS: dict[str, Any] = {
    "sql": "SELECT day, sum(amount) AS total, count(*) AS orders FROM silver.orders GROUP BY day",
    "load": "merge",
    "keys": ["day"],
}


def totals(**more: Any) -> Gold:
    return Gold.model_validate({**TOTALS, **more})


def day(number: int) -> date:
    return DAY + timedelta(days=number - 1)


def fates(result: LoadResult) -> tuple[int, int, int, int]:
    rows = result.rows
    assert rows.unaccounted == 0
    return rows.inserted, rows.updated, rows.deleted, rows.unchanged


def test_only_what_differs_is_written(bench: Workbench) -> None:
    bench.publish("silver.orders", ORDERS, *((n, day(n), "a", n) for n in (1, 2, 3)), (9, day(3), "b", 1))
    gold, path = totals(partition_by=["day"]), bench.lake.gold("totals")
    first = bench.refresh("totals", gold, 1)
    assert (first.reason, first.rows.inserted) == ("recomputed whole", 3)
    kept = files(bench, path)[day(3)]

    bench.sql("UPDATE {silver.orders} SET amount = 10 WHERE id = 1")
    bench.sql("DELETE FROM {silver.orders} WHERE id = 2")
    bench.sql("INSERT INTO {silver.orders} VALUES (4, DATE'2026-01-04', 'a', 4)")
    bench.sql("UPDATE {silver.orders} SET shop = 'c' WHERE id = 3")
    second = bench.refresh("totals", gold, 2)
    assert second.reason == "recomputed 4 keys"
    assert fates(second) == (1, 1, 1, 1)
    assert bench.rows(path) == [(day(1), 10, 1), (day(3), 4, 2), (day(4), 4, 1)]
    by = bench.rows(path, "day", "_ingested_by")
    assert by == [(day(1), "run_2"), (day(3), "run_1"), (day(4), "run_2")]
    assert files(bench, path)[day(3)] == kept
    metrics = history(bench.spark, path, 1)[0].metrics
    assert metrics["numTargetRowsCopied"] == 0
    assert metrics["numTargetFilesRemoved"] == 2
    assert bench.refresh("totals", gold, 3).status == "unchanged"


def files(bench: Workbench, path: str) -> dict[date, str]:
    rows = bench.spark.read.format("delta").load(path).select("day", "_metadata.file_path")
    return {row[0]: row[1] for row in rows.collect()}


@pytest.mark.slow
def test_keys_that_are_null_or_there_twice_are_refused(bench: Workbench) -> None:
    bench.publish("silver.orders", ORDERS, (1, day(1), "a", 1), (2, day(2), "b", 2))
    gold = totals(sql="SELECT shop, amount FROM silver.orders", keys=["shop"])
    bench.refresh("shops", gold)
    bench.sql("INSERT INTO {silver.orders} VALUES (3, DATE'2026-01-04', 'a', 4), (4, DATE'2026-01-04', NULL, 4)")
    with pytest.raises(
        LakehouseError, match=r"gold\.shops keeps its old version.*keys: 2 rows share their \(shop\)"
    ) as e:
        bench.refresh("shops", gold)
    assert "keys: no NULL in shop: 33.33% of shop is NULL" in str(e.value)
    assert bench.rows(bench.lake.gold("shops")) == [("a", 1), ("b", 2)]
    bench.sql("DELETE FROM {silver.orders} WHERE id > 2")
    assert fates(bench.refresh("shops", gold)) == (0, 0, 0, 1)


@pytest.mark.slow
def test_a_new_column_of_an_input_makes_the_table_anew(bench: Workbench) -> None:
    gold = totals(sql="SELECT * FROM silver.orders", keys=["id"])
    bench.publish("silver.orders", "id int, amount int", (1, 1), (2, 2))
    bench.refresh("orders", gold)
    bench.publish("silver.orders", "id int, amount int, note string", (1, 1, "x"), (3, 3, None))
    again = bench.refresh("orders", gold)
    assert again.reason == "recomputed whole"
    assert bench.rows(bench.lake.gold("orders")) == [(1, 1, "x"), (3, 3, None)]


@pytest.mark.slow
def test_rules_hold_back_what_a_merge_would_write(bench: Workbench) -> None:
    gold = totals(quality={"rules": [{"name": "sane", "expect": "total < 100"}]})
    bench.publish("silver.orders", ORDERS, (1, day(1), "a", 1), (2, day(2), "b", 2))
    bench.refresh("totals", gold)
    bench.sql("UPDATE {silver.orders} SET amount = 1000 WHERE id = 1")
    with pytest.raises(LakehouseError, match="sane: 1 rows break it"):
        bench.refresh("totals", gold)
    bench.sql("UPDATE {silver.orders} SET amount = 3 WHERE id = 1")
    assert fates(bench.refresh("totals", gold)) == (0, 1, 0, 0)
    assert bench.rows(bench.lake.gold("totals"), "total") == [(2,), (3,)]


@pytest.mark.slow
def test_a_rule_on_the_whole_sees_the_keys_that_stay(bench: Workbench) -> None:
    gold = totals(quality={"rules": [{"name": "apart", "unique": ["total"]}, {"row_count": {"min": 2}}]})
    bench.publish("silver.orders", ORDERS, (1, day(1), "a", 1), (2, day(2), "b", 2))
    bench.refresh("totals", gold)
    bench.sql("UPDATE {silver.orders} SET amount = 3 WHERE id = 2")
    assert fates(bench.refresh("totals", gold)) == (0, 1, 0, 0)
    bench.sql("UPDATE {silver.orders} SET amount = 1 WHERE id = 2")
    with pytest.raises(LakehouseError, match="apart: 2 rows share their"):
        bench.refresh("totals", gold)
    assert bench.rows(bench.lake.gold("totals"), "total") == [(1,), (3,)]


@pytest.mark.slow
def test_many_keys_are_taken_as_a_range(bench: Workbench) -> None:
    gold = totals(sql="SELECT id, amount FROM silver.orders", keys=["id"])
    bench.publish("silver.orders", ORDERS, (1, day(1), "a", 1))
    bench.refresh("orders", gold)
    bench.sql("INSERT INTO {silver.orders} SELECT id, DATE'2026-01-02', 'b', 2 FROM range(100, 3000)")
    found = bench.refresh("orders", gold)
    assert (found.reason, fates(found)) == ("recomputed more than 1000 keys", (2900, 0, 0, 0))
    assert len(bench.rows(bench.lake.gold("orders"))) == 2901


@pytest.mark.slow
def test_a_load_that_comes_in_between_has_the_rows_compared_again(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the comparison and the MERGE another refresh publishes: what was compared is no longer there."""
    gold, merged = totals(), merge.merge_rows
    bench.publish("silver.orders", ORDERS, (1, day(1), "a", 1), (2, day(2), "b", 2))
    bench.refresh("totals", gold)
    bench.sql("UPDATE {silver.orders} SET amount = 5 WHERE id = 2")

    def late(*args: Any) -> None:
        monkeypatch.setattr(publication, "merge_rows", merged)
        bench.sql("UPDATE {gold.totals} SET total = 77 WHERE day = DATE'2026-01-01'")
        merged(*args)

    monkeypatch.setattr(publication, "merge_rows", late)
    assert bench.refresh("totals", gold).reason == "recomputed whole"
    assert bench.rows(bench.lake.gold("totals"), "total") == [(1,), (5,)]


Row = tuple[int, date, str, int]
Result = Mapping[tuple[Any, ...], tuple[Any, ...]]


@dataclass(frozen=True)
class Case:
    """A gold table and what it should hold, by key, of the orders."""

    spec: Mapping[str, Any]
    columns: tuple[str, ...]
    oracle: Callable[[list[Row]], Result]
    whole: bool = False


def by_day(rows: list[Row]) -> Result:
    return {(at,): (sum(r[3] for r in rows if r[1] == at),) for at in {r[1] for r in rows}}


def by_day_and_shop(rows: list[Row]) -> Result:
    keys = {(r[1], r[2]) for r in rows}
    return {key: (sum(r[3] for r in rows if (r[1], r[2]) == key),) for key in keys}


def by_month(rows: list[Row]) -> Result:
    keys = {r[1].replace(day=1) for r in rows}
    return {(key,): (sum(r[3] for r in rows if r[1].replace(day=1) == key),) for key in keys}


def rolling(rows: list[Row]) -> Result:
    def total(at: date, shop: str) -> int:
        return sum(r[3] for r in rows if r[2] == shop and timedelta() <= at - r[1] < timedelta(days=3))

    return {(r[1], r[2]): (total(r[1], r[2]),) for r in rows}


def facts(rows: list[Row]) -> Result:
    return {(r[0],): (r[1], r[2], r[3]) for r in rows}


AGGREGATE = {"from": "silver.orders", "by": ["day", "shop"], "measures": {"total": "sum(amount)"}}
ROLLING = {
    "from": "silver.orders",
    "by": ["shop"],
    "over": {"order_by": "day", "rolling": "3 days"},
    "measures": {"total": "sum(amount)"},
}
MONTHS = "SELECT trunc(day, 'MONTH') AS month, sum(amount) AS total FROM silver.orders GROUP BY 1"
CASES = {
    "by a traced key": Case(
        {"sql": "SELECT day, sum(amount) AS total FROM silver.orders GROUP BY day", "keys": ["day"]},
        ("day", "total"),
        by_day,
    ),
    "by two keys": Case({"aggregate": AGGREGATE, "keys": ["day", "shop"]}, ("day", "shop", "total"), by_day_and_shop),
    "over a rolling window": Case({"aggregate": ROLLING, "keys": ["day", "shop"]}, ("day", "shop", "total"), rolling),
    "row by row": Case({"sql": "SELECT * FROM silver.orders", "keys": ["id"]}, ("id", "day", "shop", "amount"), facts),
    "by an expression": Case({"sql": MONTHS, "keys": ["month"]}, ("month", "total"), by_month, whole=True),
}


def changes(seed: int) -> Iterator[list[str]]:
    """Statements that change the orders, several between two refreshes."""
    drawn = random.Random(seed)
    key = 100
    for _ in range(4):
        statements = []
        for _ in range(drawn.randint(1, 4)):
            key += 1
            some, at, shop = drawn.randint(1, 8), day(drawn.randint(1, 45)), drawn.choice("abü")
            statements.append(
                drawn.choice(
                    [
                        f"INSERT INTO {{silver.orders}} VALUES ({key}, DATE'{at}', '{shop}', {some})",
                        f"UPDATE {{silver.orders}} SET day = DATE'{at}', amount = {some} WHERE id % 7 = {some - 1}",
                        f"UPDATE {{silver.orders}} SET shop = '{shop}' WHERE id % 5 = {some % 5}",
                        f"DELETE FROM {{silver.orders}} WHERE id % 9 = {some}",
                        f"UPDATE {{silver.orders}} SET amount = amount WHERE id % 3 = {some % 3}",
                    ]
                )
            )
        yield statements


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_after_any_changes_the_table_is_what_a_clean_pass_makes_and_the_counts_say_how(
    case: Case, seed: int, bench: Workbench
) -> None:
    gold = Gold.model_validate({**case.spec, "load": "merge"})
    path = bench.lake.gold("made")
    bench.publish("silver.orders", ORDERS, *((n, day(n % 20 + 1), "abü"[n % 3], n % 4) for n in range(1, 30)))
    before: Result = {}
    for statements in [[], *changes(seed)]:
        for statement in statements:
            bench.sql(statement)
        result = bench.refresh("made", gold)
        after = case.oracle(bench.rows(bench.lake.silver("orders")))
        assert bench.rows(path, *case.columns) == sorted((key + value for key, value in after.items()), key=repr)
        if before and result.status == "loaded":
            inserted, updated, deleted, _ = fates(result)
            differ = [key for key in before.keys() & after.keys() if before[key] != after[key]]
            assert (inserted, updated, deleted) == (len(after.keys() - before), len(differ), len(before.keys() - after))
            assert (result.reason == "recomputed whole") is case.whole
        before = after
