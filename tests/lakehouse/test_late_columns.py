"""Columns that the configuration names, and that the source has only from some batch on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import SchemaMismatch
from tests.lakehouse.conftest import Workbench

pytestmark = [pytest.mark.spark, pytest.mark.slow]


def table_of(kind: str, rules: list[dict[str, Any]] | None = None, **silver: Any) -> Table:
    return Table.model_validate(
        {
            "source": {"files": "unused", "format": kind},
            "silver": {"keys": ["id"], "sequence_by": ["n"], **silver},
            "quality": {"rules": rules or []},
        }
    )


@pytest.mark.parametrize("load", ["merge", "scd2"])
def test_a_column_without_a_type_waits_until_it_comes(load: str, bench: Workbench) -> None:
    columns = {
        "id": "int",
        "n": "int",
        "tags": {"from": "labels"},
        "size": {"expr": "coalesce(size, '-')"},
        "k": "array<int>",
    }
    more = {"track": ["n", "tags"]} if load == "scd2" else {}
    rule = {"name": "few tags", "expect": "tags IS NULL OR size(tags) < 3"}
    table = table_of("json", [rule], columns=columns, load=load, **more)

    def day(number: int, *rows: dict[str, Any]) -> None:
        lines = "".join(json.dumps({"n": number, **row}) + "\n" for row in rows)
        loaded = bench.load(table, bench.write(f"{number}.json", lines), day=number)
        assert (loaded.rows.rejected, loaded.rows.unaccounted) == (0, 0)

    day(1, {"id": 1}, {"id": 2})
    assert "tags" not in schema(bench)
    day(2, {"id": 2, "labels": [{"a": 1}], "k": [1], "size": "L"})
    day(1, {"id": 1}, {"id": 2}, {"id": 3})
    assert schema(bench)["tags"] == "array<struct<a:string>>"
    silver = bench.spark.read.format("delta").load(bench.lake.silver("orders"))
    rows = silver.where("_current") if load == "scd2" else silver
    found = {row.id: (row.tags and row.tags[0].a, row["size"], row.k) for row in rows.collect()}
    assert found == {1: (None, "-", None), 2: ("1", "L", [1]), 3: (None, "-", None)}


def test_a_number_that_comes_late_is_a_number(bench: Workbench) -> None:
    more = {"expr": "amount + 1", "type": "decimal(12, 2)"}
    columns = {"id": {"from": "id"}, "n": {"from": "n"}, "amount": {"from": "amount"}, "more": more}
    table = table_of("parquet", columns=columns)
    for number, row in enumerate(["SELECT 1 AS id, 1 AS n", "SELECT 2 AS id, 2 AS n, 1.5BD AS amount"], start=1):
        path = str(bench.landing / str(number))
        bench.spark.sql(row).coalesce(1).write.parquet(path)
        bench.load(table, f"{path}/*.parquet", day=number)
    assert schema(bench)["amount"] == "decimal(2,1)"
    assert [tuple(map(str, row)) for row in bench.rows(bench.lake.silver("orders"), "id", "amount", "more")] == [
        ("1", "None", "None"),
        ("2", "1.5", "2.50"),
    ]


@pytest.mark.parametrize("more", [{"schema": "enforce"}, {"partition_by": ["day"]}], ids=["enforce", "partitions"])
def test_a_type_that_must_be_known_is_asked_for(more: dict[str, Any], bench: Workbench) -> None:
    table = table_of("json", columns={"id": "int", "n": "int", "day": {"from": "at"}}, **more)
    loaded = bench.ingest(table, bench.write("1.json", '{"id": 1, "n": 1}\n'))
    with pytest.raises(SchemaMismatch, match=r"silver\.columns\.day: .*Write it: day: \{from: at, type: …\}"):
        bench.gate(table, loaded)


def schema(bench: Workbench) -> dict[str, str]:
    silver = bench.spark.read.format("delta").load(bench.lake.silver("orders")).schema
    return {field.name: field.dataType.simpleString() for field in silver.fields}
