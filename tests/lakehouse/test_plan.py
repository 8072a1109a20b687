"""A plan says what the load then does, and leaves the lake as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse import TablePlan, plan_gold, plan_table
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

HEAD = "id,amount,note\n"
QUALITY: dict[str, Any] = {
    "max_reject_rate": "60%",
    "rules": [
        {"name": "positive", "expect": "amount > 0"},
        {"null_rate": {"column": "note", "max": "1%"}, "severity": "warning"},
    ],
}


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file in `folder` with its size and the time of its last change."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def plan_and_load(bench: Workbench, table: Table, content: str, day: int) -> TablePlan:
    """The plan of one day, once it is seen that the load does the same."""
    path = bench.write(f"{day}.csv", HEAD + content)
    before = listing(Path(bench.lake.root))
    plan = plan_table(bench.spark, bench.lake, "orders", table, run(day), files=path)
    assert listing(Path(bench.lake.root)) == before
    gate = bench.gate(table, bench.ingest(table, path, day), day)
    loaded = bench.merge(table, gate, day)
    assert plan.rows == loaded.rows
    assert (plan.rejections, plan.rules, plan.decision, plan.reasons) == (
        gate.rejections,
        gate.rules,
        gate.decision,
        gate.reasons,
    )
    assert plan.batch
    assert loaded.batch
    assert plan.batch.id == loaded.batch.id
    assert plan.batch.files == loaded.batch.files
    return plan


@pytest.mark.slow
def test_a_plan_gives_the_numbers_of_the_load(bench: Workbench) -> None:
    table = csv_table({"sequence_by": ["amount"], "where": "id <> '99'"}, quality=QUALITY)

    first = plan_and_load(bench, table, "1,5,a\n1,4,a\n2,5,b\n3,x,c\n4,-1,d\n5\n99,1,f\n6,6,\n", 2)
    assert not first.again
    rows = first.rows
    assert (rows.read, rows.inserted, rows.rejected, rows.filtered, rows.deduplicated) == (8, 3, 3, 1, 1)
    assert first.rejections == {"malformed": 1, "cast amount": 1, "positive": 2}
    assert (first.malformed, first.decision) == (1, "warn")
    assert "try_cast(`amount` AS int) AS `amount`" in first.select
    assert first.statement.startswith(f"MERGE WITH SCHEMA EVOLUTION INTO delta.`{bench.lake.silver('orders')}` AS t")

    bench.ingest(table, bench.write("1.csv", HEAD + "2,1,waits\n7,1,waits\n"), 1, kind="live")
    late = plan_and_load(bench, table, "1,9,newer\n2,2,older\n8,8,new\n99,1,filtered\n", 3)
    rows = late.rows
    assert (rows.inserted, rows.updated, rows.superseded, rows.filtered) == (1, 1, 1, 1)
    assert [(other.batch.run_id, other.state) for other in late.others] == [("run_1", "pending")]

    again = plan_and_load(bench, table, "8,8,new\n9,9,other\n", 3)
    assert (again.again, again.in_bronze) == (True, 4)
    assert (again.rows.inserted, again.rows.unchanged, again.rows.retracted) == (1, 1, 1)
    assert "THEN DELETE" in again.statement


@pytest.mark.slow
def test_a_plan_of_gold_names_the_partitions_that_the_refresh_then_recomputes(bench: Workbench) -> None:
    table = csv_table()
    by_note = Gold.model_validate(
        {
            "sql": "SELECT note, count(*) AS n FROM silver.orders GROUP BY note",
            "load": "replace",
            "partition_by": ["note"],
        }
    )

    def plan() -> tuple[str, tuple[str, ...] | None]:
        found = plan_gold(bench.spark, bench.lake, "by_note", by_note)
        return found.status, found.partitions

    assert plan() == ("wait", None)
    bench.load(table, bench.write("1.csv", HEAD + "1,1,a\n2,2,b\n"))
    assert plan() == ("recompute", None)
    bench.refresh("by_note", by_note)
    assert plan() == ("unchanged", ())
    bench.load(table, bench.write("2.csv", HEAD + "3,3,b\n4,4,c\n"), 2)
    before = listing(Path(bench.lake.root))
    assert plan() == ("recompute", ("b", "c"))
    assert listing(Path(bench.lake.root)) == before
    assert bench.refresh("by_note", by_note, 2).reason == "recomputed 2 partitions"
