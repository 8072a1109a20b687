"""`silver.sql`: rows made from the batch's by one SELECT, judged, rejected and replayed as any others."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.lakehouse import ingest_bronze, merge_silver, plan_table, quality_gate, replay_dlq
from airflow_ingest.lakehouse.errors import TransformError
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

RATES = csv_table({"columns": {"code": "string", "rate": "int"}, "keys": ["code"], "sequence_by": []})
ITEMS = """
SELECT split(item, ':')[0] AS id, -- one row an item
       cast(split(item, ':')[1] AS int) * r.rate AS amount,
       concat('{', r.code, '}') AS note, b.currency
FROM batch b
LEFT JOIN silver.rates AS r ON r.code = b.currency
LATERAL VIEW explode(split(items, '[|]')) AS item
"""


def table(sql: str = ITEMS, **silver: Any) -> Any:
    columns = {"id": "int", "amount": "int", "note": "string"}
    return csv_table({"sql": sql, "columns": columns, "sequence_by": [], **silver}, quality={"max_reject_rate": "100%"})


def rates(bench: Workbench, day: int, *rows: str) -> None:
    file = bench.write(f"rates{day}.csv", "code,rate\n" + "".join(f"{row}\n" for row in rows))
    loaded = ingest_bronze(bench.spark, bench.lake, "rates", RATES, run(day), files=file)
    assert loaded.batch
    merge_silver(bench.spark, bench.lake, "rates", RATES, run(day), loaded.batch)


@pytest.mark.slow
def test_a_select_makes_the_rows_that_are_judged_with_tables_as_they_were_at_the_gate(bench: Workbench) -> None:
    rates(bench, 1, "EUR,2")
    file = bench.write("1.csv", "items,currency\n1:10|2:20|2:20,EUR\n3:bad|4:40,EUR\n5:50,EUR,more\n")
    loaded = bench.ingest(table(), file)
    assert loaded.batch
    gate = quality_gate(bench.spark, bench.lake, "orders", table(), run(1), loaded.batch)
    rates(bench, 2, "EUR,3")
    merged = bench.merge(table(), gate)
    assert (merged.rows.read, merged.rows.inserted, merged.rows.deduplicated, merged.rows.rejected) == (6, 3, 1, 2)
    silver = bench.lake.silver("orders")
    assert bench.rows(silver, "id", "amount", "note") == [(1, 20, "{EUR}"), (2, 40, "{EUR}"), (4, 80, "{EUR}")]
    assert ("cast", "amount") in [reason[:2] for reason in bench.reasons()]
    letters = bench.rows(bench.lake.dlq("orders"), "payload")
    assert ('{"items":"3:bad|4:40","currency":"EUR"}',) in letters
    fix = {"items": "replace(items, 'bad', '30')"}
    replayed = replay_dlq(bench.spark, bench.lake, "orders", table(), run(1), rule="cast", fix=fix)
    assert replayed.rejected == 0
    assert (3, 90, "{EUR}") in bench.rows(silver, "id", "amount", "note")


@pytest.mark.slow
def test_a_re_run_derives_keys_from_the_same_select_and_a_plan_shows_it(bench: Workbench) -> None:
    flat = table("SELECT * FROM batch LATERAL VIEW explode(split(ids, ' ')) AS id")
    bench.load(flat, bench.write("1.csv", "ids,amount,note\n1 2,10,a\n"), day=1)
    bench.load(flat, bench.write("2.csv", "ids,amount,note\n2 3,20,b\n"), day=2)
    again = bench.load(flat, bench.write("2.csv", "ids,amount,note\n3,20,b\n"), day=2)
    assert (again.rows.unaccounted, again.rows.retracted) == (0, 1)
    assert bench.rows(bench.lake.silver("orders"), "id", "note") == [(1, "a"), (2, "a"), (3, "b")]
    planned = plan_table(bench.spark, bench.lake, "orders", flat, run(2), files=str(bench.landing / "2.csv"))
    assert planned.rows.read == 1
    assert planned.select.startswith("-- from what silver.sql makes of these rows")


@pytest.mark.slow
def test_what_spark_refuses_is_told_with_its_key(bench: Workbench) -> None:
    loaded = bench.ingest(table(), bench.write("1.csv", "id,amount\n1,10\n"))
    with pytest.raises(TransformError, match=r"silver\.sql: \[UNRESOLVED_COLUMN.*`nothing`"):
        bench.gate(table("SELECT nothing FROM batch"), loaded)
    with pytest.raises(TransformError, match="several columns named amount, id"):
        bench.gate(table("SELECT *, b.* FROM batch b"), loaded)
