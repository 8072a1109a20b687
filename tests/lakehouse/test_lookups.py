"""Values from another table of silver: as it was at the gate, its newest row for a key, NULL where it has none."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.lakehouse import (
    SchemaMismatch,
    SourceNotFound,
    ingest_bronze,
    merge_silver,
    plan_table,
    quality_gate,
)
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

CARRIERS = csv_table(
    {"columns": {"code": "string", "name": "string", "fleet": "string"}, "keys": ["code"], "sequence_by": []}
)
COLUMNS: dict[str, Any] = {
    "id": "int",
    "code": {"expr": "upper(carrier)"},
    "airline": {"lookup": {"table": "silver.carriers", "key": "code", "take": "name"}},
    "fleet": {"lookup": {"table": "silver.carriers", "key": "code", "take": "fleet"}, "type": "int"},
}


def flights(**more: Any) -> Any:
    rules = {"rules": [{"name": "known", "expect": "airline IS NOT NULL"}], "max_reject_rate": "100%"}
    return csv_table({"columns": COLUMNS, "sequence_by": [], **more}, quality=rules)


def carriers(bench: Workbench, day: int, *rows: str) -> None:
    file = bench.write(f"carriers{day}.csv", "code,name,fleet\n" + "".join(f"{row}\n" for row in rows))
    loaded = ingest_bronze(bench.spark, bench.lake, "carriers", CARRIERS, run(day), files=file)
    assert loaded.batch
    merge_silver(bench.spark, bench.lake, "carriers", CARRIERS, run(day), loaded.batch)


@pytest.mark.slow
def test_a_relationship_rejects_what_the_other_table_has_not(bench: Workbench) -> None:
    related = {"column": "carrier", "table": "silver.carriers", "key": "code"}
    rules: list[Any] = [{"name": "it's `known`", "relationships": related}, {"row_count": {"min": 1}}]
    table = csv_table({"columns": {"id": "int", "carrier": "string"}, "sequence_by": []}, quality={"rules": rules})
    file = bench.write("1.csv", "id,carrier\n1,AA\n2,ZZ\n3,\n4,UA\n5,ZZ\n")
    loaded = bench.ingest(table, file)
    with pytest.raises(SourceNotFound, match=r"silver\.carriers has no published version yet"):
        bench.gate(table, loaded)
    carriers(bench, 1, "AA,American,900", "UA,United,1", "UA,Twice,2")
    gate = bench.gate(table, loaded)
    carriers(bench, 2, "ZZ,Late,1")
    merged = bench.merge(table, gate)
    assert (merged.rows.read, merged.rows.rejected, merged.rows.inserted) == (5, 2, 3)
    assert bench.rows(bench.lake.silver("orders")) == [(1, "AA"), (3, None), (4, "UA")]
    assert bench.reasons() == [("it's `known`", None, "breaks relationships(carrier)")] * 2
    warned = table.model_copy(deep=True)
    warned.quality.rules[0].__dict__["severity"] = "warning"
    second = bench.gate(warned, bench.ingest(warned, bench.write("2.csv", "id,carrier\n6,AA\n7,??\n"), 2), 2)
    assert (second.decision, second.rows.rejected, second.rules[0].failing) == ("warn", 0, 1)


@pytest.mark.slow
def test_a_column_is_looked_up_as_the_other_table_was_at_the_gate(bench: Workbench) -> None:
    carriers(bench, 1, "AA,American,900", "UA,United,many")
    file = bench.write("1.csv", "id,carrier\n1,aa\n2,UA\n3,ZZ\n4,\n")
    loaded = bench.ingest(flights(), file)
    assert loaded.batch
    gate = quality_gate(bench.spark, bench.lake, "orders", flights(), run(1), loaded.batch)
    assert gate.rows.rejected == 3
    carriers(bench, 2, "AA,American Airlines,901")
    merged = bench.merge(flights(), gate)
    assert (merged.rows.inserted, merged.rows.unaccounted) == (1, 0)
    assert bench.rows(bench.lake.silver("orders"), "id", "airline", "fleet") == [(1, "American", 900)]
    assert [reason[:2] for reason in bench.reasons()] == [("cast", "fleet"), ("known", None), ("known", None)]
    bench.load(flights(), bench.write("2.csv", "id,carrier\n5,aa\n"), day=2)
    assert (5, "American Airlines", 901) in bench.rows(bench.lake.silver("orders"), "id", "airline", "fleet")


@pytest.mark.slow
def test_a_key_that_is_there_twice_gives_its_newest_row_and_no_row_twice(bench: Workbench) -> None:
    carriers(bench, 1, "AA,American,1")
    both = {
        **COLUMNS,
        "airline": {"lookup": {"table": "silver.carriers", "key": "fleet", "take": "name"}},
        "fleet": {"from": "fleet"},
    }
    carriers(bench, 2, "AX,Newer,1")
    bench.load(flights(columns=both), bench.write("1.csv", "id,carrier,fleet\n1,aa,1\n2,aa,1\n"))
    assert bench.rows(bench.lake.silver("orders"), "id", "airline") == [(1, "Newer"), (2, "Newer")]


@pytest.mark.slow
def test_a_key_with_a_fraction_is_no_whole_number(bench: Workbench) -> None:
    bench.publish("silver.rates", "id double, name string, _sequence int", (1.5, "wrong", 1), (2.0, "right", 1))
    columns = {"id": "int", "name": {"lookup": {"table": "silver.rates", "key": "id", "take": "name"}}}
    bench.load(csv_table({"columns": columns, "sequence_by": []}), bench.write("1.csv", "id,carrier\n1,AA\n2,AA\n"))
    assert bench.rows(bench.lake.silver("orders"), "id", "name") == [(1, None), (2, "right")]


@pytest.mark.slow
def test_what_cannot_be_looked_up_is_said_before_anything_is_judged(bench: Workbench) -> None:
    loaded = bench.ingest(flights(), bench.write("1.csv", "id,carrier\n1,aa\n"))
    with pytest.raises(SourceNotFound, match=r"silver\.carriers has no published version yet"):
        bench.gate(flights(), loaded)
    planned = plan_table(bench.spark, bench.lake, "orders", flights(), run(1), files=str(bench.landing / "1.csv"))
    assert planned.status == "wait"
    carriers(bench, 1, "AA,American,1")
    other = {**COLUMNS, "airline": {"lookup": {"table": "silver.carriers", "key": "code", "take": "nam"}}}
    with pytest.raises(SchemaMismatch, match="has no column nam, which a lookup or a relationship takes"):
        bench.gate(flights(columns=other), loaded)
