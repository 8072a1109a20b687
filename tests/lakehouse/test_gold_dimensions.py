"""Dimensional models: the days, surrogate keys, and the version of a dimension that a fact belongs to."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd  # type: ignore[import-untyped]
import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse import SchemaMismatch
from airflow_ingest.lakehouse.gold.dimensions import with_dimensions, with_surrogate_keys
from tests.lakehouse.conftest import Workbench

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

CUSTOMERS = "customer_id int, city string, _valid_from date, _valid_to date"
ORDERS = "order_id int, customer_id int, day date, amount int"


def january(number: int) -> date:
    return date(2026, 1, number)


def days(first: str, last: str, **more: Any) -> Gold:
    return Gold.model_validate({"dates": {"from": first, "to": last}, **more})


def test_the_days_are_those_of_the_calendar_and_made_once(bench: Workbench) -> None:
    calendar = days("2019-12-25", "2021-01-10")
    assert bench.refresh("dim_date", calendar).rows.inserted == 383
    again = bench.refresh("dim_date", calendar, 2)
    assert (again.status, again.reason, again.version) == ("unchanged", "its days are there", 1)
    frame = pd.DataFrame({"date": pd.date_range("2019-12-25", "2021-01-10")})
    at = frame["date"].dt
    expected = frame.assign(
        date_key=at.strftime("%Y%m%d").astype(int),
        year=at.year,
        quarter=at.quarter,
        month=at.month,
        month_name=at.month_name(),
        iso_year=at.isocalendar().year,
        iso_week=at.isocalendar().week,
        day=at.day,
        day_of_year=at.dayofyear,
        day_of_week=at.dayofweek + 1,
        day_name=at.day_name(),
        is_weekend=at.dayofweek >= 5,
        **{name: getattr(at, name) for name in STARTS_AND_ENDS},
    ).assign(date=at.date)
    columns = [name for name in made(bench).columns if not name.startswith("_")]
    assert set(columns) == set(expected.columns)
    found = [tuple(row) for row in made(bench).orderBy("date").select(*columns).collect()]
    assert found == list(expected[columns].itertuples(index=False, name=None))
    assert bench.refresh("dim_date", days("2019-12-25", "2021-01-11"), 3).rows.inserted == 384


STARTS_AND_ENDS = [f"is_{unit}_{end}" for unit in ("month", "quarter", "year") for end in ("start", "end")]


def made(bench: Workbench) -> DataFrame:
    return bench.spark.read.format("delta").load(bench.lake.gold("dim_date"))


def keyed(rows: DataFrame, *columns: str) -> list[str]:
    gold = Gold.model_validate({"sql": "SELECT 1 AS n FROM silver.t", "surrogate_key": {"key": list(columns)}})
    return [row[0] for row in with_surrogate_keys("t", gold, rows).select("key").collect()]


def test_surrogate_keys_tell_values_apart_and_stay_the_same(spark: SparkSession) -> None:
    texts = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc", ""),
        ("abc", None),
        (None, "abc"),
        ("", "abc"),
        (None, None),
        ("NULL", ""),
    ]
    texts += [('a"', '"b'), ('a","1":"', "b"), ("東", "京"), ("a", "bc")]
    keys = keyed(spark.createDataFrame(texts, "a string, b string"), "a", "b")
    assert len(set(keys)) == len(texts) - 1
    assert keys[0] == keys[-1]
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)

    moments = spark.sql("SELECT TIMESTAMP'2026-03-29 01:30:00.123456Z' AS at, DATE'2026-03-29' AS day, 1.10BD AS price")
    zone = spark.conf.get("spark.sql.session.timeZone")
    try:
        found = set()
        for other in ("UTC", "Asia/Kolkata"):
            spark.conf.set("spark.sql.session.timeZone", other)
            found.add(keyed(moments, "at", "day", "price")[0])
    finally:
        spark.conf.set("spark.sql.session.timeZone", str(zone))
    told = '{"0":"2026-03-29T01:30:00.123456Z","1":"2026-03-29","2":1.1}'
    assert found == {hashlib.md5(told.encode()).hexdigest()}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("1.10BD", "1.1BD", True),
        ("cast(1 AS decimal(38, 18))", "1", True),
        ("100BD", "1BD", False),
        ("12345678901234567890.12345678901234567BD", "12345678901234567890.12345678901234568BD", False),
        ("-0.0D", "0.0D", True),
        ("1.5F", "1.5D", True),
        ("double('NaN')", "double('Infinity')", False),
        ("1Y", "1L", True),
        ("true", "false", False),
        ("X'00'", "X'0000'", False),
        ("X''", "cast(NULL AS binary)", False),
        ("TIMESTAMP'2026-10-25 02:30:00+01:00'", "TIMESTAMP'2026-10-25 02:30:00+02:00'", False),
        ("TIMESTAMP'2026-10-25 02:30:00+01:00'", "TIMESTAMP'2026-10-25 01:30:00Z'", True),
        ("TIMESTAMP'2026-01-01 00:00:00.000001'", "TIMESTAMP'2026-01-01 00:00:00.000002'", False),
        ("TIMESTAMP_NTZ'2026-10-25 02:30:00'", "TIMESTAMP_NTZ'2026-10-25 01:30:00'", False),
        ("array('a', NULL)", "array('a')", False),
    ],
)
def test_a_surrogate_key_is_the_same_for_what_is_equal_and_for_nothing_else(
    spark: SparkSession, one: str, other: str, same: bool
) -> None:
    keys = [keyed(spark.sql(f"SELECT {value} AS value"), "value") for value in (one, other)]
    assert (keys[0] == keys[1]) is same


def looked_up(facts: DataFrame, members: DataFrame, **dimension: Any) -> list[Any]:
    given = {"table": "silver.customers", "key": "customer_id", "take": "city", **dimension}
    gold = Gold.model_validate({"sql": "SELECT 1 AS n FROM silver.t", "dimensions": {"found": given}})
    rows = with_dimensions("facts", gold, facts, lambda table: members)
    return [row[0] for row in rows.orderBy("order_id").select("found").collect()]


def test_a_fact_belongs_to_the_version_that_was_valid_then(spark: SparkSession) -> None:
    versions = [
        (1, "Bern", january(5), january(10)),
        (1, "Basel", january(10), january(20)),
        (1, None, january(25), None),
        (None, "nobody", january(1), None),
    ]
    members = spark.createDataFrame(versions, CUSTOMERS)
    asked = [january(4), january(5), january(9), january(10), january(19), january(20), january(25), january(30), None]
    rows: list[tuple[Any, ...]] = [(number, 1, day, 0) for number, day in enumerate(asked)]
    rows += [(90, 2, january(6), 0), (91, None, january(6), 0)]
    facts = spark.createDataFrame(rows, ORDERS)
    expected = [None, "Bern", "Bern", "Basel", "Basel", None, None, None, None, None, None]
    assert looked_up(facts, members, at="day") == expected
    unknown = ["?", "Bern", "Bern", "Basel", "Basel", "?", None, None, "?", "?", "?"]
    assert looked_up(facts, members, at="day", unknown="?") == unknown
    assert looked_up(facts, members) == [None] * 11
    assert looked_up(facts, members, unknown=0) == [*[None] * 9, "0", "0"]

    twice = members.unionByName(spark.createDataFrame([(1, "Chur", january(8), january(15))], CUSTOMERS))
    twice = twice.unionByName(members)
    assert looked_up(facts, twice, at="day") == [None, "Bern", "Chur", "Basel", "Basel", None, *[None] * 5]
    plain = spark.createDataFrame([(1, "Bern"), (1, "Basel"), (3, "Chur")], "customer_id int, city string")
    assert looked_up(facts, plain, unknown="?") == [*["Bern"] * 9, "?", "?"]


@pytest.mark.slow
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_a_moment_belongs_to_one_version_to_the_microsecond_and_in_every_zone(spark: SparkSession, zone: str) -> None:
    """Europe's clocks go forward at 01:00 UTC on that day."""
    spark.conf.set("spark.sql.session.timeZone", zone)
    moments = ["2026-03-29 00:30:00Z", "2026-03-29 01:00:00Z", "2026-03-29 01:30:00Z"]
    begins = ", ".join(f"(1, {number}, TIMESTAMP'{at}')" for number, at in enumerate(moments))
    members = spark.sql(
        "SELECT *, lead(_valid_from) OVER (ORDER BY _valid_from) AS _valid_to "
        f"FROM VALUES {begins} AS v(customer_id, city, _valid_from)"
    )
    before = ["2026-03-29 00:29:59.999999Z", "2026-03-29 00:59:59.999999Z", "2026-03-29 01:29:59.999999Z"]
    asked = ", ".join(f"({number}, 1, TIMESTAMP'{at}')" for number, at in enumerate([*moments, *before]))
    facts = spark.sql(f"SELECT * FROM VALUES {asked} AS v(order_id, customer_id, at)")
    assert looked_up(facts, members, at="at", unknown=-1) == [0, 1, 2, -1, 0, 1]
    local = facts.selectExpr("order_id", "customer_id", "cast(at AS timestamp_ntz) AS at")
    assert looked_up(local, members, at="at", unknown=-1) == [0, 1, 2, -1, 0, 1]
    days = facts.selectExpr("order_id", "customer_id", "DATE'2026-03-30' - order_id AS at")
    assert looked_up(days, members, at="at", unknown=-1) == [2, -1, -1, -1, -1, -1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dimension", "message"),
    [
        ({"at": "day"}, "no column _valid_from, _valid_to in silver.customers, which has customer_id, city"),
        ({"take": "town"}, "no column town in silver.customers"),
        ({"by": "customer"}, "no column customer in the query's result"),
        ({"by": "note"}, "note of the query is string, and customer_id of silver.customers is int"),
        ({"take": "customer_id", "unknown": "none"}, "unknown is 'none', and the column is int"),
        ({"take": "since", "unknown": -1}, "unknown is -1, and the column is date"),
        ({"take": "few", "unknown": 1000}, "unknown is 1000, and the column is tinyint"),
        ({"take": "all", "unknown": "none"}, "unknown is 'none', and the column is array<int>"),
        ({"at": "note", "table": "silver.versions"}, "note of the query is string, and _valid_from of silver.versions"),
    ],
    ids=["no versions", "take", "by", "a text", "unknown", "no date", "too large", "nested", "a text for a time"],
)
def test_a_dimension_that_does_not_fit_is_told_before_anything_is_written(
    spark: SparkSession, dimension: dict[str, Any], message: str
) -> None:
    plain = spark.createDataFrame([(1, "Bern")], "customer_id int, city string")
    if dimension.get("table") == "silver.versions":
        plain = spark.createDataFrame([(1, "Bern", january(1), None)], CUSTOMERS)
    elif dimension.get("take") in ("since", "few", "all"):
        plain = spark.sql("SELECT 1 AS customer_id, DATE'2026-01-01' AS since, 1Y AS few, array(1) AS all")
    facts = spark.createDataFrame([(1, 1, january(1), "1")], "order_id int, customer_id int, day date, note string")
    with pytest.raises(SchemaMismatch, match=message):
        looked_up(facts, plain, **dimension)


DIMENSION = Gold.model_validate(
    {
        "sql": "SELECT customer_id, city, _valid_from, _valid_to FROM silver.customers",
        "surrogate_key": {"customer_key": ["customer_id", "_valid_from"]},
        "load": "merge",
        "keys": ["customer_key"],
    }
)


def fact(**more: Any) -> Gold:
    return Gold.model_validate(
        {
            "sql": "SELECT order_id, day, customer_id, amount FROM silver.orders",
            "dimensions": {
                "customer_key": {"table": "gold.dim_customers", "key": "customer_id", "at": "day", "unknown": "-1"},
                "city": {"table": "gold.dim_customers", "key": "customer_id", "at": "day"},
            },
            "load": "merge",
            "keys": ["order_id"],
            **more,
        }
    )


@pytest.mark.slow
def test_a_late_version_changes_the_facts_that_it_is_for(bench: Workbench) -> None:
    bench.publish("silver.customers", CUSTOMERS, (1, "Bern", january(1), None), (2, "Chur", january(1), None))
    orders = [(1, 1, january(2), 10), (2, 1, january(8), 20), (3, 2, january(8), 30), (4, 3, january(8), 40)]
    bench.publish("silver.orders", ORDERS, *orders)
    bench.refresh("dim_customers", DIMENSION, 1)
    bench.refresh("fact_orders", fact(), 1)
    path = bench.lake.gold("fact_orders")
    before = dict(bench.rows(path, "order_id", "customer_key"))
    assert [row[1] for row in bench.rows(path, "order_id", "city")] == ["Bern", "Bern", "Chur", None]
    assert (before[1], before[4]) == (before[2], "-1")

    bench.publish(
        "silver.customers",
        CUSTOMERS,
        (1, "Bern", january(1), january(5)),
        (1, "Basel", january(5), None),
        (2, "Chur", january(1), None),
        (3, "Thun", january(1), None),
    )
    changed = bench.refresh("dim_customers", DIMENSION, 2)
    assert (changed.rows.inserted, changed.rows.updated, changed.rows.unchanged) == (2, 1, 1)
    found = bench.refresh("fact_orders", fact(), 2)
    assert found.reason == "recomputed 2 keys"
    assert (found.rows.read, found.rows.updated, found.rows.unchanged) == (3, 2, 1)
    assert bench.rows(path, "order_id", "city", "_ingested_by") == [
        (1, "Bern", "run_1"),
        (2, "Basel", "run_2"),
        (3, "Chur", "run_1"),
        (4, "Thun", "run_2"),
    ]
    after = dict(bench.rows(path, "order_id", "customer_key"))
    assert [key for key in before if before[key] != after[key]] == [2, 4]


@pytest.mark.slow
def test_a_changed_member_recomputes_the_partitions_that_hold_its_facts(bench: Workbench) -> None:
    replaced = fact(load="replace", keys=[], partition_by=["day"])
    bench.publish("silver.customers", CUSTOMERS, (1, "Bern", january(1), None), (2, "Chur", january(1), None))
    bench.publish("silver.orders", ORDERS, (1, 1, january(2), 10), (2, 2, january(3), 20), (3, 2, january(4), 20))
    for name, gold in (("dim_customers", DIMENSION), ("fact_orders", replaced)):
        bench.refresh(name, gold, 1)
    bench.sql("UPDATE {silver.customers} SET city = 'Thun' WHERE customer_id = 2")
    bench.sql("INSERT INTO {silver.orders} VALUES (4, 1, DATE'2026-01-09', 1)")
    bench.refresh("dim_customers", DIMENSION, 2)
    assert bench.refresh("fact_orders", replaced, 2).reason == "recomputed 3 partitions"
    found = bench.rows(bench.lake.gold("fact_orders"), "order_id", "city", "_ingested_by")
    assert found == [(1, "Bern", "run_1"), (2, "Thun", "run_2"), (3, "Thun", "run_2"), (4, "Bern", "run_2")]


@pytest.mark.slow
def test_a_date_dimension_is_looked_up_by_columns_of_other_names(bench: Workbench) -> None:
    bench.refresh("dim_date", days("2026-01-01", "2026-01-31"))
    bench.publish(
        "silver.orders", "order_id int, ordered date, shipped date", (1, january(1), january(2)), (2, None, None)
    )
    role = {"table": "gold.dim_date", "key": "date", "take": "date_key", "unknown": -1}
    roles = {f"{name}_key": {**role, "by": name} for name in ("ordered", "shipped")}
    gold = Gold.model_validate({"sql": "SELECT * FROM silver.orders", "dimensions": roles})
    bench.refresh("fact_orders", gold)
    found = bench.rows(bench.lake.gold("fact_orders"), "order_id", "ordered_key", "shipped_key")
    assert found == [(1, 20260101, 20260102), (2, -1, -1)]
