"""Where tables stand after a run."""

from __future__ import annotations

import pytest

from airflow_ingest.lakehouse import Standing, hold_batch, standings
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark


def test_letters_held_batches_and_the_watermark_of_several_tables(bench: Workbench) -> None:
    assert standings(bench.spark, bench.lake, ["orders"]) == {"orders": Standing()}
    table = csv_table()
    bench.load(table, bench.write("1.csv", "id,amount,note\n1,5,a\n2,x,b\n3,y,c\n"))
    second = bench.gate(table, bench.ingest(table, bench.write("2.csv", "id,amount,note\n4,z,d\n"), 2), 2)
    hold_batch(bench.spark, bench.lake, table, run(2), second)

    found = standings(bench.spark, bench.lake, ["orders", "others"])

    assert found["others"] == Standing()
    assert found["orders"] == Standing(open_letters=3, held=1, watermark="2026-01-03T00:00:00+00:00")

    bench.ingest(table, bench.write("2.csv", "id,amount,note\n4,4,d\n"), 2)
    assert standings(bench.spark, bench.lake, ["orders"])["orders"].held == 0, "loaded anew, so nobody has judged it"
