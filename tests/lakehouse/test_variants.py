"""Columns of the type variant: texts and objects taken for JSON, compared by what they say, in every load."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = [pytest.mark.spark, pytest.mark.slow]

LOADS: dict[str, dict[str, Any]] = {
    "merge": {},
    "states": {"delete_when": "gone = 'true'", "deletes": "soft", "ignore_null_updates": True},
    "scd2": {"load": "scd2", "track": ["doc"]},
    "append": {"load": "append", "keys": [], "sequence_by": []},
}


@pytest.mark.parametrize("load", LOADS)
def test_a_variant_is_told_apart_by_what_it_says(load: str, bench: Workbench) -> None:
    columns = {"id": "int", "n": "int", "doc": "variant"}
    table = csv_table(
        {"columns": columns, "keys": ["id"], "sequence_by": ["n"], **LOADS[load]},
        source={"files": "x", "format": "json"},
        quality={"max_reject_rate": "100%"},
    )
    first = [(1, {"a": "1"}), (2, '{"b": [1, 2.50, null], "a": "x"}'), (3, None), (4, "broken {")]
    loaded = bench.load(table, day(bench, first))
    assert (loaded.rows.inserted, loaded.rows.rejected, loaded.rows.unaccounted) == (3, 1, 0)
    assert [message for *_, message in bench.reasons()] == ["not a value of type variant: broken {"]
    assert documents(bench) == [(1, {"a": "1"}), (2, {"b": [1, 2.5, None], "a": "x"}), (3, None)]

    again = [(1, {"a": "2"}), first[1], (3, "[]")]
    loaded = bench.load(table, day(bench, again))
    assert documents(bench) == [(1, {"a": "2"}), (2, {"b": [1, 2.5, None], "a": "x"}), (3, [])]
    assert loaded.rows.unaccounted == 0
    if load != "append":
        assert (loaded.rows.updated, loaded.rows.unchanged) == (2, 1)
        assert bench.load(table, day(bench, again)).rows.unchanged == 3


def day(bench: Workbench, rows: list[tuple[int, Any]]) -> str:
    lines = ({"id": number, "n": 1, "doc": doc, "gone": "false"} for number, doc in rows)
    return bench.write("x.json", "".join(json.dumps(line) + "\n" for line in lines))


def documents(bench: Workbench) -> list[tuple[int, Any]]:
    rows = bench.rows(bench.lake.silver("orders"), "id", "doc")
    return [(number, doc and json.loads(doc.toJson())) for number, doc in rows]


def test_a_table_gets_its_first_variant_later(bench: Workbench) -> None:
    columns = {"id": "int", "amount": "int", "note": "string"}
    bench.load(csv_table(), bench.write("1.csv", "id,amount,note\n1,1,one\n"))
    table = csv_table({"columns": {**columns, "doc": {"from": "note", "type": "variant"}}})
    bench.load(table, bench.write("2.csv", 'id,amount,note\n2,1,"[1]"\n'), day=2)
    assert documents(bench) == [(1, None), (2, [1])]
