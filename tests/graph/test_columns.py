"""Which column is made of which."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.config import parse_gold, parse_table
from airflow_ingest.graph.columns import Columns, bronze_columns, gold_columns, query_columns, silver_columns

FILES = {"files": "in.csv", "format": "csv"}
BRONZE = ("id", "name", "price", "pieces", "country")


def told(columns: Columns) -> dict[str, list[str]]:
    """What each column is made of: `how table.column`."""
    return {
        name: [f"{origin.how} {origin.table}.{origin.column}" for origin in origins]
        for name, origins in columns.origins.items()
    }


def deciding(columns: Columns) -> list[str]:
    return [f"{origin.how} {origin.table}.{origin.column}" for origin in columns.rows]


def silver(**spec: Any) -> Columns:
    return silver_columns(
        "orders", parse_table({"source": FILES, "silver": {"load": "append", **spec}}, name="orders"), BRONZE
    )


@pytest.mark.parametrize(
    ("sql", "origins", "rows"),
    [
        pytest.param(
            "SELECT day, sum(amount) AS amount FROM silver.o WHERE amount < 9 GROUP BY day",
            {"day": ["identity silver.o.day"], "amount": ["aggregation silver.o.amount"]},
            ["filter silver.o.amount", "group_by silver.o.day"],
            id="an alias named like the column that it is made of",
        ),
        pytest.param(
            "WITH c AS (SELECT id, upper(Name) AS n FROM silver.customers WHERE active)"
            " SELECT o.id, c.n, o.price * 2 AS twice FROM silver.o AS o JOIN c ON o.customer = c.id",
            {
                "id": ["identity silver.o.id"],
                "n": ["transformation silver.customers.Name"],
                "twice": ["transformation silver.o.price"],
            },
            ["filter silver.customers.active", "join silver.o.customer"],
            id="through a WITH",
        ),
        pytest.param(
            "SELECT a FROM silver.x UNION ALL SELECT b FROM silver.y",
            {"a": ["identity silver.x.a", "identity silver.y.b"]},
            [],
            id="a union",
        ),
        pytest.param("SELECT count(*) AS n, 1 AS one FROM silver.x", {}, [], id="made of no column"),
        pytest.param("SELECT * FROM silver.x", {}, [], id="a star"),
        pytest.param("SELECT day, (SELECT max(k) FROM silver.z) AS m FROM silver.x", {}, [], id="not to be traced"),
        pytest.param("SELECT FROM WHERE", {}, [], id="no SQL"),
    ],
)
def test_a_query(sql: str, origins: dict[str, list[str]], rows: list[str]) -> None:
    found = query_columns(sql)

    assert told(found) == origins
    assert deciding(found) == rows


def test_the_names_of_a_query_are_known_where_their_origin_is_not() -> None:
    assert list(query_columns("SELECT day, (SELECT max(k) FROM silver.z) AS m FROM silver.x").types) == ["day", "m"]


def test_bronze_is_its_source_and_masks_are_marked() -> None:
    silver = {"load": "append", "columns": {"id": "int", "buyer": {"from": "Name", "mask": "sha256"}}}
    table = parse_table({"source": FILES, "silver": silver}, name="orders")

    found = bronze_columns(table, "source", {"id": "string", "name": "string"})

    assert told(found) == {"id": ["identity source.id"], "name": ["identity source.name"]}
    assert [origin.masked for origins in found.origins.values() for origin in origins] == [False, True]


def test_silver_is_what_its_columns_say() -> None:
    found = silver(
        where="country IS NOT NULL",
        columns={
            "id": "int",
            "buyer": {"from": "name", "mask": "redact"},
            "amount": {"expr": "double(price) * PIECES"},
            "land": {"lookup": {"table": "silver.countries", "key": "country", "take": "name"}},
        },
    )

    assert told(found) == {
        "id": ["transformation bronze.orders.id"],
        "buyer": ["identity bronze.orders.name"],
        "amount": ["transformation bronze.orders.price", "transformation bronze.orders.pieces"],
        "land": ["identity silver.countries.name", "join silver.countries.country", "join bronze.orders.country"],
    }
    assert found.types == {"id": "int", "buyer": "string", "amount": "", "land": ""}
    assert deciding(found) == ["filter bronze.orders.country"]


def test_silver_without_columns_is_bronze() -> None:
    assert told(silver()) == {name: [f"identity bronze.orders.{name}"] for name in BRONZE}


def test_columns_that_are_kept_stand_behind_those_that_are_named() -> None:
    found = silver(columns={"total": {"from": "price", "type": "double"}, "*": "keep"})

    assert list(found.types) == ["total", "id", "name", "pieces", "country"]
    assert told(found)["total"] == ["transformation bronze.orders.price"]


def test_silver_made_by_sql_is_traced_through_it() -> None:
    sql = "SELECT b.id, b.price * r.rate AS euros FROM batch AS b JOIN silver.rates AS r ON b.country = r.country"

    found = silver(sql=sql, columns={"id": "int", "euros": "double"})

    assert told(found)["euros"] == ["transformation bronze.orders.price", "transformation silver.rates.rate"]


def test_nobody_knows_what_a_transform_makes() -> None:
    found = silver(transform="my_package:clean", columns={"id": "int"})

    assert (told(found), found.types) == ({}, {"id": "int"})


def test_gold_with_dimensions_and_a_surrogate_key() -> None:
    gold = {
        "sql": "SELECT customer, sum(price) AS price FROM silver.orders GROUP BY customer",
        "dimensions": {"region": {"table": "gold.customers", "key": "customer"}},
        "surrogate_key": {"id": ["customer", "price"]},
    }

    found = gold_columns(parse_gold(gold, name="sales"))

    assert told(found)["region"] == [
        "identity gold.customers.region",
        "join gold.customers.customer",
        "join silver.orders.customer",
    ]
    assert told(found)["id"] == ["transformation silver.orders.customer", "transformation silver.orders.price"]
    assert list(found.types) == ["customer", "price", "region", "id"]


def test_an_aggregation_is_traced_as_its_sql() -> None:
    aggregate = {"from": "silver.orders", "by": ["country"], "measures": {"total": "sum(price)"}}

    found = gold_columns(parse_gold({"aggregate": aggregate}, name="sales"))

    assert told(found) == {"country": ["identity silver.orders.country"], "total": ["aggregation silver.orders.price"]}
