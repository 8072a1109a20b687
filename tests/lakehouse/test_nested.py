"""Columns of nested types: their values by name, each cast as a column's is."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import dead_letters_of
from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = pytest.mark.spark

COLUMNS = {
    "id": "int",
    "place": "struct<city: string, at: struct<lon: double, lat: double>, `opened on`: date>",
    "tags": "array<struct<n: int, label: string>>",
    "prices": "map<string, decimal(10, 2)>",
    "by_day": "map<date, int>",
}
GOOD: dict[int, dict[str, Any]] = {
    1: {
        "place": {"opened on": "2026-01-31", "at": {"lat": "47.5", "lon": 7.6, "alt": 1}, "city": "Basel"},
        "tags": [{"label": "a", "n": "1"}, None, {"n": 2, "more": True}],
        "prices": {"CHF": "1.50", "EUR": 2},
        "by_day": {"2026-01-01": 1, "2026-01-02": "2"},
    },
    2: {"place": {"city": None, "at": None}, "tags": [], "prices": {}, "by_day": None},
    3: {},
}
BAD: dict[int, tuple[dict[str, Any], str]] = {
    11: ({"place": {"at": {"lat": "north"}}}, "place"),
    12: ({"tags": [{"n": 1}, {"n": "one"}]}, "tags"),
    13: ({"prices": {"CHF": "a lot"}}, "prices"),
    14: ({"by_day": {"someday": 1}}, "by_day"),
    15: ({"by_day": {"2026-01-01": 1, "2026-01-01 ": 2}}, "by_day"),
    16: ({"place": {"opened on": "2026-02-30"}}, "place"),
}


def test_an_object_as_text_is_json_and_a_flag_may_be_left_out(bench: Workbench) -> None:
    columns = {"id": "int", "place": "string", "tags": {"from": "list", "type": "string"}}
    table = csv_table(
        {"columns": columns, "sequence_by": [], "delete_when": "gone = 'true'"}, source={"files": "x", "format": "json"}
    )
    rows = [
        {"id": 1, "place": {"city": "Basel", "at": [1, 2]}, "list": ["a"]},
        {"id": 2, "place": None, "list": None},
    ]
    loaded = bench.load(table, bench.write("x.json", "".join(json.dumps(row) + "\n" for row in rows)))
    assert (loaded.rows.inserted, loaded.rows.rejected) == (2, 0)
    silver = [(id_, *(text and json.loads(text) for text in texts)) for id_, *texts in silver_rows(bench)]
    assert silver == [(1, {"city": "Basel", "at": ["1", "2"]}, ["a"]), (2, None, None)]
    bench.load(table, bench.write("y.json", '{"id": 1, "gone": true}\n'), day=2)
    assert silver_rows(bench) == [(2, None, None)]


@pytest.mark.slow
def test_a_whole_number_is_not_made_of_one_with_a_fraction(bench: Workbench) -> None:
    columns = {"id": "int", "n": "int", "m": "bigint"}
    table = csv_table({"columns": columns, "sequence_by": []}, source={"files": "x", "format": "parquet"})
    rows = [(1, 2.0, Decimal("3.0")), (2, 2.5, None), (3, float("nan"), None), (4, None, Decimal("0.1"))]
    path = str(bench.landing / "x.parquet")
    bench.spark.createDataFrame(rows, "id int, n double, m decimal(3, 1)").coalesce(1).write.parquet(path)
    bench.load(table, f"{path}/*.parquet")
    assert silver_rows(bench) == [(1, 2, 3)]
    assert [message for _, _, message in bench.reasons()] == [
        "not a value of type bigint: 0.1",
        "not a value of type int: 2.5",
        "not a value of type int: NaN",
    ]
    letters = dead_letters_of(bench.spark, bench.lake, "orders")
    assert {(letter.source_position, json.loads(letter.payload or "{}")["id"]) for letter in letters} == {
        (1, 2),
        (2, 3),
        (3, 4),
    }


def test_what_an_expression_makes_keeps_its_fraction_or_its_row_is_rejected(bench: Workbench) -> None:
    columns = {
        "id": "int",
        "n": {"expr": "double(n)", "type": "int"},
        "m": {"expr": "array(double(m))", "type": "array<int>"},
    }
    table = csv_table({"columns": columns, "sequence_by": []}, quality={"max_reject_rate": "100%"})
    bench.load(table, bench.write("1.csv", "id,n,m\n1,2.0,3.0\n2,2.5,3\n3,2,3.5\n"))
    assert silver_rows(bench) == [(1, 2, [3])]


def silver_rows(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.rows(bench.lake.silver("orders"))


def published(bench: Workbench) -> dict[int, Any]:
    rows = bench.spark.read.format("delta").load(bench.lake.silver("orders")).collect()
    return {row.id: (row.place, row.tags, row.prices, row.by_day) for row in rows}


def expected() -> dict[int, Any]:
    place = ("Basel", (7.6, 47.5), date(2026, 1, 31))
    prices = {"CHF": Decimal("1.50"), "EUR": Decimal("2.00")}
    days = {date(2026, 1, 1): 1, date(2026, 1, 2): 2}
    return {
        1: (place, [(1, "a"), None, (2, None)], prices, days),
        2: ((None, None, None), [], {}, None),
        3: (None, None, None, None),
    }


def check(bench: Workbench, table: Table, file: str) -> None:
    ingested = bench.ingest(table, file, day=1)
    gate = bench.gate(table, ingested, day=1)
    merged = bench.merge(table, gate, day=1)
    assert (merged.rows.inserted, merged.rows.rejected, merged.rows.unaccounted) == (len(GOOD), len(BAD), 0)
    assert gate.rejections == {"cast place": 2, "cast tags": 1, "cast prices": 1, "cast by_day": 2}
    assert published(bench) == expected()
    letters = bench.spark.read.format("delta").load(bench.lake.dlq("orders")).collect()
    assert {int(json.loads(letter.payload)["id"]): letter.reasons[0].column for letter in letters} == {
        key: column for key, (_, column) in BAD.items()
    }


def test_objects_are_taken_by_name_and_what_does_not_cast_inside_rejects_the_row(bench: Workbench) -> None:
    table = Table.model_validate(
        {
            "source": {"files": "unused", "format": "json"},
            "silver": {"columns": COLUMNS, "keys": ["id"]},
            "quality": {"max_reject_rate": "100%"},
        }
    )
    rows = [{"id": key, **row} for key, row in GOOD.items()] + [{"id": key, **row} for key, (row, _) in BAD.items()]
    check(bench, table, bench.write("rows.json", "".join(json.dumps(row) + "\n" for row in rows)))


@pytest.mark.slow
def test_json_in_a_text_column_is_taken_by_name_too(bench: Workbench) -> None:
    table = csv_table({"columns": COLUMNS, "keys": ["id"], "sequence_by": []}, quality={"max_reject_rate": "100%"})
    names = [name for name in COLUMNS if name != "id"]
    rows = [*GOOD.items()] + [(key, row) for key, (row, _) in BAD.items()]
    lines = [",".join(["id", *names])]
    for key, row in rows:
        cells = ["" if row.get(name) is None else quoted(json.dumps(row[name])) for name in names]
        lines.append(",".join([str(key), *cells]))
    check(bench, table, bench.write("rows.csv", "\n".join([*lines, ""])))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.mark.slow
def test_a_field_whose_name_has_a_blank_may_come_later(bench: Workbench) -> None:
    columns = {"id": "int", "place": "struct<`zip code`: int, city: string>"}
    table = Table.model_validate(
        {"source": {"files": "unused", "format": "json"}, "silver": {"columns": columns, "keys": ["id"]}}
    )
    plain = {**columns, "place": "struct<city: string>"}
    before = Table.model_validate({"source": table.source, "silver": {"columns": plain, "keys": ["id"]}})
    bench.load(before, bench.write("1.json", json.dumps({"id": 1, "place": {"city": "Chur"}})), day=1)
    bench.load(table, bench.write("2.json", json.dumps({"id": 2, "place": {"city": "Bern", "zip code": 3000}})), day=2)
    found = bench.rows(bench.lake.silver("orders"), "id", "place.city", "place.`zip code`")
    assert found == [(1, "Chur", None), (2, "Bern", 3000)]


@pytest.mark.slow
def test_a_decimal_is_rounded_unless_a_rule_forbids_it(bench: Workbench) -> None:
    columns = {"id": "int", "amount": {"from": "n", "type": "decimal(10, 2)"}, "n": "decimal(20, 10)"}
    rules = [{"name": "cents", "expect": "n IS NULL OR n < 10 OR n = round(n, 2)"}]
    table = csv_table({"columns": columns, "sequence_by": []}, quality={"rules": rules, "max_reject_rate": "100%"})
    bench.load(table, bench.write("x.csv", "id,n\n1,1.005\n2,-1.005\n3,1.10\n4,11.005\n5,11.10\n6,\n7,123456789\n"))
    assert [(id_, str(amount)) for id_, amount, _ in silver_rows(bench)] == [
        (1, "1.01"),
        (2, "-1.01"),
        (3, "1.10"),
        (5, "11.10"),
        (6, "None"),
    ]
    assert {(rule, column) for rule, column, _ in bench.reasons()} == {("cents", None), ("cast", "amount")}


@pytest.mark.slow
def test_a_condition_on_what_is_inside_rejects_a_row_that_it_cannot_judge(bench: Workbench) -> None:
    table = csv_table(
        {
            "columns": {"id": "int"},
            "sequence_by": [],
            "where": "cast(payload.counts AS array<int>)[0] > 0 AND named_struct('n', int(payload.n)).n <=> payload.m",
            "delete_when": "payload.op = 1",
        },
        source={"files": "x", "format": "json"},
    )
    good = {"counts": ["1"], "n": "2", "m": "2", "op": "0"}
    rows = [
        good,
        {**good, "counts": ["0"]},
        {**good, "op": "1"},
        {**good, "counts": ["1", "many"]},
        {**good, "n": "x"},
        {**good, "n": None, "m": "x"},
        {**good, "op": "D"},
        {**good, "counts": ["0"], "op": "D"},
    ]
    text = "".join(json.dumps({"id": number, "payload": row}) + "\n" for number, row in enumerate(rows))
    loaded = bench.load(table, bench.write("x.json", text))
    assert silver_rows(bench) == [(0,)]
    assert (loaded.rows.filtered, loaded.rows.rejected, loaded.rows.unaccounted) == (1, 5, 0)
    assert {message for *_, message in bench.reasons()} == {
        "no value for CAST(payload.counts AS ARRAY<INT>)",
        "no value for CAST(payload.n AS INT)",
        "no value for STRUCT(CAST(payload.n AS INT) AS n).n IS NOT DISTINCT FROM payload.m",
        "no value for payload.op = 1",
    }
