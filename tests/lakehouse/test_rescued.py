"""JSON whose fields come and go and change their kind: no load fails of it, and nothing is lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_ingest.config import Table
from tests.lakehouse.conftest import Workbench

pytestmark = pytest.mark.spark


def table(schema: str, **silver: Any) -> Table:
    return Table.model_validate(
        {
            "source": {"files": "unused", "format": "json"},
            "bronze": {"schema": schema},
            "silver": {"keys": ["id"], **silver},
        }
    )


def lines(bench: Workbench, day: int, *rows: Any) -> str:
    return bench.write(f"{day}.json", "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))


def rescued(bench: Workbench) -> dict[str, Any]:
    """What bronze rescued, by id."""
    rows = bench.rows(bench.lake.bronze("orders"), "id", "_rescued_data")
    return {row[0]: json.loads(row[1]) for row in rows if row[1] is not None}


def test_new_fields_are_columns_and_a_field_of_another_kind_is_kept_as_text(bench: Workbench) -> None:
    evolving = table("evolve", columns={"id": "int", "city": {"expr": "place.city"}, "lost": {"from": "_rescued_data"}})
    first = lines(bench, 1, {"id": 1, "place": {"city": "Zürich"}, "tags": [{"n": 1}]})
    assert bench.ingest(evolving, first, day=1).rescued == 0
    second = lines(
        bench,
        2,
        {"id": 2, "place": "Bern, CH", "tags": [{"n": {"deep": True}}, {"n": 2}], "new": {"a": 1}},
        {"id": 3, "place": {"city": "Basel", "geo": {"lat": 47.5}}, "tags": None},
        {"id": 4, "place": {"city": "Genf"}},
    )
    loaded = bench.ingest(evolving, second, day=2)
    assert (loaded.rows.read, loaded.rescued) == (3, 2)
    found = rescued(bench)
    assert found["2"]["place"] == "Bern, CH"
    assert json.loads(found["3"]["place"]) == {"city": "Basel", "geo": {"lat": 47.5}}
    assert set(found) == {"2", "3"}
    bronze = bench.rows(bench.lake.bronze("orders"), "id", "place.city", "new.a")
    assert bronze == [("1", "Zürich", None), ("2", None, "1"), ("3", "Basel", None), ("4", "Genf", None)]
    gate = bench.gate(evolving, loaded, day=2)
    assert gate.unused == ("new", "tags")
    bench.merge(evolving, gate, day=2)
    assert [row[:2] for row in bench.rows(bench.lake.silver("orders"), "id", "city")] == [
        (2, None),
        (3, "Basel"),
        (4, "Genf"),
    ]
    third = lines(bench, 3, {"id": 5, "place": {"city": "Chur", "zip": 7000}, "tags": [{"n": 1, "more": [1]}]})
    assert bench.ingest(evolving, third, day=3).rescued == 0
    assert bench.rows(bench.lake.bronze("orders"), "id", "place.zip")[-1] == ("5", "7000")


@pytest.mark.slow
def test_where_bronze_is_enforced_unknown_fields_are_rescued(bench: Workbench) -> None:
    fixed = table("enforce", columns={"id": "int", "note": "string"})
    bench.load(fixed, lines(bench, 1, {"id": 1, "note": "a", "in": {"x": 1}}), day=1)
    second = lines(
        bench,
        2,
        {"id": 2, "note": "b", "extra": [1, {"y": "é"}]},
        {"id": 3, "in": {"x": 1, "z": 2}},
        {"id": 4, "in": {"x": 2}},
        {"id": 5, "note": {"text": "c"}},
    )
    loaded = bench.ingest(fixed, second, day=2)
    assert (loaded.rows.read, loaded.rescued) == (4, 2)
    assert rescued(bench) == {"2": {"extra": ["1", '{"y": "é"}']}, "3": {"in": {"x": "1", "z": "2"}}}
    bench.merge(fixed, bench.gate(fixed, loaded, day=2), day=2)
    assert bench.rows(bench.lake.silver("orders"), "id", "note") == [
        (1, "a"),
        (2, "b"),
        (3, None),
        (4, None),
        (5, '{"text": "c"}'),
    ]
    again = bench.load(fixed, second, day=2)
    assert (again.rows.unchanged, again.rows.unaccounted) == (4, 0)
