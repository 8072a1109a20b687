"""A column's type gets wider while loads go on: for every load, in bronze too, and for all who read the table."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse import SchemaMismatch, replay_dlq
from airflow_ingest.lakehouse.log import history
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

BIG = 3_000_000_000
PER_DAY = {
    "load": "replace",
    "partition_by": ["day"],
    "aggregate": {"from": "silver.orders", "by": ["day"], "measures": {"most": "max(amount)"}},
}


def typed(amount: str, **silver: Any) -> Table:
    columns = {"id": amount if amount == "bigint" else "int", "day": "date", "amount": amount, "note": "string"}
    return csv_table({"columns": columns, "sequence_by": ["amount"], **silver}, quality={"max_reject_rate": "100%"})


def file(bench: Workbench, day: int, *rows: str) -> str:
    return bench.write(f"{day}.csv", "id,day,amount,note,op\n" + "".join(f"{row}\n" for row in rows))


def types_of(bench: Workbench, path: str) -> dict[str, str]:
    schema = bench.spark.read.format("delta").load(path).schema
    return {field.name: field.dataType.simpleString() for field in schema.fields}


@pytest.mark.slow
def test_a_wider_type_is_taken_while_backfills_replays_and_gold_go_on(bench: Workbench) -> None:
    path, gold = bench.lake.silver("orders"), Gold.model_validate(PER_DAY)
    first = file(bench, 1, "1,2026-01-01,10,a,", "2,2026-01-01,20,b,")
    bench.load(typed("int"), first, day=1)
    bench.refresh("most", gold, day=1)
    rejected = bench.load(typed("int"), file(bench, 2, f"1,2026-01-02,{BIG},c,"), day=2)
    assert rejected.rows.rejected == 1
    replayed = replay_dlq(bench.spark, bench.lake, "orders", typed("bigint"), run(2))
    assert (replayed.replayed, replayed.rejected) == (1, 0)
    assert types_of(bench, path)["amount"] == types_of(bench, path)["id"] == "bigint"
    assert types_of(bench, path)["_sequence"].startswith("struct<by_1:bigint,")
    refreshed = bench.refresh("most", gold, day=2)
    assert (refreshed.status, refreshed.reason) == ("loaded", "recomputed whole")
    assert bench.rows(bench.lake.gold("most"), "day", "most") == [(date(2026, 1, 1), 20), (date(2026, 1, 2), BIG)]
    again = bench.load(typed("bigint"), file(bench, 1, "2,2026-01-01,30,b,"), day=1)
    assert again.rows.unaccounted == 0
    assert bench.rows(path, "id", "amount") == [(1, BIG), (2, 30)]
    operations = [commit.operation for commit in history(bench.spark, path, 50)]
    assert operations.count("CHANGE COLUMNS") == 1
    before = len(operations)
    with pytest.raises(SchemaMismatch, match=r"amount \(bigint → int; bigint takes both\)") as raised:
        bench.load(typed("int"), file(bench, 3, "3,2026-01-03,1,c,"), day=3)
    assert "_sequence.by_1 (bigint → int" in str(raised.value)
    assert len(history(bench.spark, path, 50)) == before


WIDER: list[tuple[str, str, str, str, Any]] = [
    ("tinyint", "smallint", "7", "300", 300),
    ("smallint", "int", "7", "70000", 70000),
    ("int", "bigint", "7", str(BIG), BIG),
    ("int", "double", "7", "1.5", 1.5),
    ("float", "double", "7", "0.1", 0.1),
    ("int", "decimal(12,2)", "7", "1.25", Decimal("1.25")),
    ("bigint", "decimal(22,2)", "7", "1.25", Decimal("1.25")),
    ("decimal(5,2)", "decimal(9,4)", "7", "12345.6789", Decimal("12345.6789")),
    ("date", "timestamp_ntz", "2026-01-01", "2026-01-05 10:00:00", datetime(2026, 1, 5, 10)),
]
"""The narrower type and the wider one, a value of the one and of the other, and that again as Python has it."""
NAMES = [f"c{number}" for number in range(len(WIDER))]
OPERATIONS = {"column": "op", "insert": ["I"], "update": ["U"], "delete": ["D"]}
LOADS: dict[str, dict[str, Any]] = {
    "merge": {},
    "merge with deletions": {"operations": OPERATIONS},
    "insert": {"load": "insert"},
    "append": {"load": "append", "keys": [], "sequence_by": []},
    "replace": {"load": "replace", "replace_where": "day = '{{ ds }}'"},
    "overwrite": {"load": "overwrite"},
    "scd2": {"load": "scd2", "operations": OPERATIONS},
}


def many_columns(load: str, *, wide: bool) -> Table:
    columns = {name: types[1 if wide else 0] for name, types in zip(NAMES, WIDER, strict=True)}
    keys = {"keys": ["id", "c2"], "sequence_by": ["c0"]}
    return csv_table({**keys, "columns": {"id": "int", "day": "date", **columns}, **LOADS[load]})


def many_rows(bench: Workbench, day: int, *rows: tuple[str, bool]) -> str:
    lines = [f"{row},2026-01-0{day}," + ",".join(types[3 if wide else 2] for types in WIDER) for row, wide in rows]
    head = ["op", "id", "day", *NAMES]
    return bench.write(f"{day}.csv", "\n".join([",".join(head), *lines, ""]))


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS)
def test_every_load_takes_every_wider_type_of_values_keys_and_sequences(load: str, bench: Workbench) -> None:
    path, first = bench.lake.silver("orders"), (("I,1", False), ("I,2", False))
    bench.load(many_columns(load, wide=False), many_rows(bench, 1, *first), day=1)
    loaded = bench.load(many_columns(load, wide=True), many_rows(bench, 2, ("I,3", True), ("D,1", False)), day=2)
    assert loaded.rows.unaccounted == 0
    assert [types_of(bench, path)[name] for name in NAMES] == [types[1] for types in WIDER]
    assert (3, *(types[4] for types in WIDER)) in bench.rows(path, "id", *NAMES)
    again = bench.load(many_columns(load, wide=True), many_rows(bench, 1, *first), day=1)
    assert (again.rows.unaccounted, again.rows.retracted) == (0, 0)
    ids = [row[0] for row in bench.rows(path, "id")]
    assert 3 in ids
    assert (1 in ids) is ("operations" not in LOADS[load])


@pytest.mark.slow
def test_bronze_takes_a_wider_type_and_older_files_after_it(bench: Workbench) -> None:
    table = Table.model_validate(
        {
            "source": {"files": "unused", "format": "parquet"},
            "silver": {"keys": ["id"], "partition_by": ["day"]},
        }
    )
    narrow = "cast({id} AS int) AS id, DATE'2026-01-01' AS day, named_struct('at', cast(1 AS int)) AS s, array(1) AS xs"
    wide = (
        "cast({id} AS bigint) AS id, DATE'2026-01-01' AS day, named_struct('at', 5000000000, 'more', 'x') AS s, "
        "array(5000000000) AS xs"
    )
    files = {name: str(bench.landing / name) for name in ("1", "2", "3")}
    for name, select in (("1", narrow), ("2", wide), ("3", narrow)):
        bench.spark.sql(f"SELECT {select.format(id=name)}").write.parquet(files[name])
    for day in (1, 2, 3, 1):
        loaded = bench.load(table, files[str(day)] + "/*.parquet", day=day)
        assert loaded.rows.unaccounted == 0
    for path in (bench.lake.bronze("orders"), bench.lake.silver("orders")):
        assert types_of(bench, path)["s"] == "struct<at:bigint,more:string>"
        assert types_of(bench, path)["xs"] == "array<bigint>"
        assert types_of(bench, path)["id"] == "bigint"
        assert bench.rows(path, "id", "s.at", "s.more") == [(1, 1, None), (2, 5000000000, "x"), (3, 1, None)]
    bench.spark.sql("SELECT 'four' AS id, DATE'2026-01-01' AS day, struct('x' AS at) AS s").write.parquet(
        files["3"] + "b"
    )
    with pytest.raises(SchemaMismatch, match=r"id \(bigint → string\), s\.at \(bigint → string\)") as raised:
        bench.ingest(table, files["3"] + "b/*.parquet", day=4)
    assert "Nothing was written" in str(raised.value)
    enforced = table.model_copy(update={"bronze": table.bronze.model_copy(update={"schema_": "enforce"})})
    with pytest.raises(
        SchemaMismatch, match=r"missing: s\.more \(string\), xs.*changed: id \(bigint → string\), s\.at"
    ):
        bench.ingest(enforced, files["3"] + "b/*.parquet", day=4)
