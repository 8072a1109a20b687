"""Where a table is created: on free ground, beside a twin, over what a killed run has left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse import LakehouseError
from airflow_ingest.lakehouse.tables import FEED, OWNER, ensure, properties
from airflow_ingest.lakehouse.widening import COLUMN_MAPPING
from airflow_ingest.runtime import session
from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = pytest.mark.spark

DAILY = Gold.model_validate(
    {"aggregate": {"from": "silver.orders", "by": ["note"], "measures": {"total": "sum(amount)"}}}
)


def begun(path: str) -> None:
    """What a creation leaves that was killed before its first commit."""
    log = Path(path) / "_delta_log"
    log.mkdir(parents=True)
    (log / f".{0:020}.json.c0ffee.tmp").write_text("{")


def test_a_creation_that_was_killed_does_not_stand_in_the_next_ones_way(bench: Workbench) -> None:
    path = bench.lake.silver("orders")
    begun(path)
    rows = bench.spark.createDataFrame([], "id INT NOT NULL, `at night` STRING, day DATE")
    assert ensure(bench.spark, bench.lake, path, rows, partition_by=["day"], table_properties={FEED: "true"})
    found = properties(bench.spark, path) or {}
    assert (found[OWNER], found[FEED], found[COLUMN_MAPPING]) == ("shop", "true", "name")
    table = bench.spark.read.format("delta").load(path)
    assert table.schema.simpleString() == "struct<id:int,at night:string,day:date>"
    assert all(field.nullable for field in table.schema)
    [detail] = bench.spark.sql(f"DESCRIBE DETAIL delta.`{path}`").select("partitionColumns").collect()
    assert detail[0] == ["day"]
    assert not ensure(bench.spark, bench.lake, path, rows)


def test_files_of_something_else_are_not_taken_into_a_table(bench: Workbench) -> None:
    path = bench.lake.silver("orders")
    begun(path)
    (Path(path) / "2026").mkdir()
    (Path(path) / "2026" / "keep.parquet").write_text("theirs")
    with pytest.raises(LakehouseError, match=r"holds files of something else, such as file:.*2026/keep\.parquet"):
        ensure(bench.spark, bench.lake, path, bench.spark.range(1))
    assert properties(bench.spark, path) is None


@pytest.mark.slow
def test_every_table_of_a_pipeline_is_loaded_where_its_creation_was_killed(bench: Workbench) -> None:
    silver = {"delete_when": "note = 'gone'"}
    table = csv_table(silver)
    for path in (
        bench.lake.bronze("orders"),
        bench.lake.silver("orders"),
        bench.lake.gold("daily"),
        bench.lake.dlq("orders"),
        bench.lake.ops("tombstones/orders"),
        bench.lake.ops("quality_results"),
    ):
        begun(path)
    day = bench.write("1.csv", "id,amount,note\n1,10,a\n2,20,b\nx,30,c\n3,5,gone\n")
    for _ in range(2):
        bench.load(table, day)
        bench.refresh("daily", DAILY)
        assert bench.rows(bench.lake.silver("orders")) == [(1, 10, "a"), (2, 20, "b")]
        assert bench.rows(bench.lake.gold("daily")) == [("a", 10), ("b", 20)]
        assert len(bench.reasons()) == 2
    bench.load(table, bench.write("2.csv", "id,amount,note\n1,11,a\n3,4,late\n"), day=2)
    bench.refresh("daily", DAILY, day=2)
    assert bench.rows(bench.lake.silver("orders")) == [(1, 11, "a"), (2, 20, "b")]
    assert bench.rows(bench.lake.gold("daily")) == [("a", 11), ("b", 20)]


@pytest.mark.slow
def test_of_many_that_create_one_table_at_once_all_go_on(bench: Workbench) -> None:
    def create(number: int) -> bool:
        with session() as spark:
            return ensure(spark, bench.lake, bench.lake.silver(f"t{number // 4}"), spark.range(1))

    with ThreadPoolExecutor(4) as pool:
        created = list(pool.map(create, range(80)))
    assert len(created) == 80
    assert all(sum(created[first : first + 4]) == 1 for first in range(0, 80, 4))
