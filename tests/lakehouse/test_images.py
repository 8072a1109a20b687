"""A change log with the row before and after each change, as Debezium sends it, ends as the table it was made from."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from airflow_ingest.config import Table
from airflow_ingest.lakehouse import SchemaMismatch
from tests.lakehouse.conftest import Workbench

pytestmark = [pytest.mark.spark, pytest.mark.slow]

Image = dict[str, Any] | None


def table(file_format: str = "json", **silver: Any) -> Table:
    spec = {
        "columns": {"id": "int", "amount": "decimal(10, 2)", "note": "string"},
        "keys": ["id"],
        "sequence_by": ["ts_ms"],
        "operations": {"column": "op", "insert": ["c", "r"], "update": ["u"], "delete": ["d"]},
        "images": {"before": "before", "after": "after"},
        **silver,
    }
    source = {"files": "unused", "format": file_format}
    return Table.model_validate({"source": source, "silver": spec, "quality": {"max_reject_rate": "100%"}})


def change(op: str, at: int, before: Image, after: Image) -> dict[str, Any]:
    return {"op": op, "ts_ms": f"{at:05d}", "before": before, "after": after}


def row(key: int, amount: str | None, note: str) -> Image:
    return {"id": key, "amount": amount, "note": note}


CHANGES = [
    [
        change("r", 1, None, row(1, "1.50", "read")),
        change("c", 2, None, row(2, "2.00", "created")),
        change("u", 4, row(2, "2.00", "created"), row(2, None, "emptied")),
        change("c", 5, None, row(3, "3.00", "gone")),
        change("d", 7, row(3, "3.00", "gone"), None),
    ],
    [
        change("u", 3, row(2, "2.00", "created"), row(2, "2.50", "late")),
        change("u", 6, row(3, "3.00", "gone"), row(3, "3.50", "late")),
        change("t", 8, None, row(1, "0", "truncated?")),
        change("d", 9, row(1, "1.50", "read"), None),
        change("c", 10, None, row(1, "9.00", "back")),
    ],
]


def test_structs_of_both_images_end_as_the_table_they_tell_of(bench: Workbench) -> None:
    for day, changes in enumerate(CHANGES, 1):
        lines = "".join(json.dumps(each) + "\n" for each in changes)
        loaded = bench.load(table(), bench.write(f"{day}.json", lines), day=day)
        assert loaded.rows.unaccounted == 0
    found = bench.rows(bench.lake.silver("orders"), "id", "amount", "note")
    assert found == [(1, Decimal("9.00"), "back"), (2, None, "emptied")]
    assert bench.reasons() == [("operation", "op", "no operation of ours: t")]


def test_images_may_be_json_text(bench: Workbench) -> None:
    for day, changes in enumerate(CHANGES, 1):
        texts = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in each.items()} for each in changes]
        bench.load(table(), bench.write(f"{day}.json", "".join(json.dumps(each) + "\n" for each in texts)), day=day)
    assert bench.rows(bench.lake.silver("orders"), "id", "note") == [(1, "back"), (2, "emptied")]


def test_a_change_whose_image_is_cut_off_is_rejected_and_takes_not_the_row_before(bench: Workbench) -> None:
    cut = {"op": "u", "ts_ms": "00002", "before": json.dumps(row(1, "1", "old")), "after": '{"id": 1, "amount": "2'}
    whole = {"op": "c", "ts_ms": "00001", "before": "null", "after": json.dumps(row(2, "2", "new"))}
    loaded = bench.load(table(), bench.write("1.json", "".join(json.dumps(each) + "\n" for each in (cut, whole))))
    assert (loaded.rows.rejected, loaded.rows.inserted) == (1, 1)
    assert ("image", "after", "after is no JSON object") in bench.reasons()


def test_an_image_that_was_null_at_first_may_have_objects_in_it(bench: Workbench) -> None:
    columns = {"id": "int", "place": "struct<city: string, zip: int>", "note": "string"}
    places = [{"city": "Basel", "zip": "4051"}, {"city": "Bern", "zip": "3011"}]
    first = [change("r", n, None, {"id": n, "place": place, "note": "x"}) for n, place in enumerate(places, 1)]
    then = [change("d", 3, {"id": 2, "place": places[1], "note": "x"}, None)]
    then += [change("u", 4, {"id": 1, "place": places[0], "note": "x"}, {"id": 1, "place": places[1], "note": "y"})]
    for day, changes in enumerate((first, then), 1):
        lines = "".join(json.dumps(each) + "\n" for each in changes)
        loaded = bench.load(table(columns=columns), bench.write(f"{day}.json", lines), day=day)
        assert (loaded.rows.unaccounted, loaded.rows.rejected) == (0, 0)
    assert bench.rows(bench.lake.silver("orders"), "id", "place", "note") == [(1, ("Bern", 3011), "y")]


def test_an_image_that_is_missing_is_told_with_what_is_there(bench: Workbench) -> None:
    loaded = bench.ingest(table(), bench.write("1.json", '{"op": "c", "ts_ms": "1", "after": {"id": 1}}\n'))
    with pytest.raises(SchemaMismatch, match="'before' has to be a struct or JSON text, and there is no such column"):
        bench.gate(table(), loaded)


def test_images_are_found_by_their_names_in_any_case(bench: Workbench) -> None:
    told = table(columns={"id": "int", "*": "keep"}, images={"before": "Before", "after": "After"})
    bench.load(told, bench.write("a.json", json.dumps(change("c", 1, None, row(1, "1", "new"))) + "\n"))
    columns = bench.spark.read.format("delta").load(bench.lake.silver("orders")).columns
    assert [name for name in columns if not name.startswith("_")] == ["id", "op", "ts_ms", "amount", "note"]
