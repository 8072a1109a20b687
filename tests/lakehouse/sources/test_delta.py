"""Delta tables of another pipeline on their way into bronze and silver, by their versions."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.config import Table, parse_pipeline
from airflow_ingest.lakehouse import (
    Lake,
    LakehouseError,
    LoadResult,
    SchemaMismatch,
    SourceNotFound,
    SourceUnreadable,
    ingest_bronze,
    merge_silver,
    plan_table,
    quality_gate,
    table_status,
)
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.model import Batch
from airflow_ingest.lakehouse.sources.delta import Snapshot
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

DOCUMENT = Path(__file__).parents[3] / "docs/architecture.md"
FEED = "delta.enableChangeDataFeed = true"
ORDER = ["_commit_version", "_change_type"]
FOLLOW: dict[str, Any] = {"keys": ["id"], "sequence_by": ORDER, "delete_when": "_change_type = 'delete'"}


class Sales:
    """`silver.sales` of another pipeline in the same lake, as that pipeline would leave it, and who follows it."""

    def __init__(self, bench: Workbench, properties: str = f"'ingest.pipeline' = 'sales', {FEED}") -> None:
        self.bench = bench
        self.path = bench.lake.silver("sales")
        self.name = f"delta.`{self.path}`"
        self.make(properties)

    def make(self, properties: str) -> None:
        columns = "id INT, amount INT, at TIMESTAMP, _deleted_at TIMESTAMP, _batch_id STRING, _ingested_by STRING"
        self.sql(f"CREATE TABLE {self.name} ({columns}) USING delta TBLPROPERTIES ({properties})")

    def sql(self, statement: str) -> None:
        self.bench.spark.sql(statement).collect()

    def insert(self, *rows: tuple[int, int]) -> None:
        values = ", ".join(
            f"({id_}, {amount}, '2026-01-0{id_} 12:00:00Z', NULL, 'theirs', 'x')" for id_, amount in rows
        )
        self.sql(f"INSERT INTO {self.name} VALUES {values}")

    def ingest(self, table: Table, day: int = 1, kind: Any = "live") -> LoadResult:
        return ingest_bronze(self.bench.spark, self.bench.lake, "orders", table, run(day, kind))

    def load(self, table: Table, day: int = 1) -> LoadResult:
        loaded = self.ingest(table, day)
        for batch in loaded.pending:
            self.bench.merge(table, self.bench.gate(table, loaded.model_copy(update={"batch": batch}), day), day)
        return loaded

    def bronze(self, *columns: str) -> list[tuple[Any, ...]]:
        return self.bench.rows(self.bench.lake.bronze("orders"), *columns)


@pytest.fixture
def sales(bench: Workbench) -> Sales:
    return Sales(bench)


def follower(extract: str = "incremental", silver: dict[str, Any] | None = None, **delta: Any) -> Table:
    cursor = {"cursor": delta.pop("cursor")} if "cursor" in delta else {}
    source = {"delta": delta if "path" in delta else {"table": "silver.sales", **delta}}
    spec = {"source": source, "extract": {"mode": extract, **cursor}}
    return Table.model_validate({**spec, **({"silver": silver} if silver else {})})


def versions(result: Any) -> tuple[int | None, int, int]:
    """From and to, and the watermark."""
    assert result.batch
    assert result.batch.versions
    assert result.batch.watermark
    return result.batch.versions.since, result.batch.versions.to, int(result.batch.watermark.value)


@pytest.mark.slow
def test_changes_are_followed_across_a_wider_type_and_not_across_a_lost_column(bench: Workbench, sales: Sales) -> None:
    table = follower(silver=FOLLOW)
    sales.insert((1, 10))
    sales.load(table)
    sales.insert((2, 20))
    sales.sql(f"ALTER TABLE {sales.name} SET TBLPROPERTIES ('delta.enableTypeWidening' = 'true')")
    sales.sql(f"ALTER TABLE {sales.name} ALTER COLUMN amount TYPE bigint")
    sales.sql(f"UPDATE {sales.name} SET amount = 5000000000 WHERE id = 1")
    sales.load(table, day=2)
    for path in (bench.lake.bronze("orders"), bench.lake.silver("orders")):
        assert dict(bench.spark.read.format("delta").load(path).dtypes)["amount"] == "bigint"
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(1, 5000000000), (2, 20)]
    sales.sql(f"ALTER TABLE {sales.name} SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
    sales.insert((3, 30))
    sales.sql(f"ALTER TABLE {sales.name} DROP COLUMN amount")
    with pytest.raises(SourceUnreadable, match="not all changes"):
        sales.ingest(table, day=3)


@pytest.mark.slow
def test_changes_are_taken_from_a_starting_version_on(bench: Workbench, sales: Sales) -> None:
    table = follower(silver=FOLLOW, starting_version=2)
    sales.insert((1, 10))
    assert sales.ingest(table).reason.endswith("is at version 1, and its changes are taken from 2 on")
    sales.insert((2, 20))
    sales.sql(f"DELETE FROM {sales.name} WHERE id = 1")
    assert versions(sales.load(table)) == (1, 3, 3)
    assert sales.bronze("id", "_change_type") == [(1, "delete"), (2, "insert")]
    sales.insert((3, 30))
    assert versions(sales.load(table, day=2)) == (3, 4, 4)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(2, 20), (3, 30)]


@pytest.mark.slow
def test_a_table_is_taken_as_it_is_and_then_by_what_changed(bench: Workbench, sales: Sales) -> None:
    table = follower(silver=FOLLOW)
    sales.insert((1, 10), (2, 20), (3, 30))
    planned = plan_table(bench.spark, bench.lake, "orders", table, run(1, "live"))
    assert (versions(planned), planned.rows.inserted) == ((None, 1, 1), 3)
    first = sales.load(table)
    assert (versions(first), first.rows.read) == ((None, 1, 1), 3)
    read = bench.spark.read.format("delta").load(bench.lake.bronze("orders"))
    kept = [name for name in read.columns if name not in ("_run_id", "_processing_date", "_record_hash")]
    assert kept[:5] == ["_batch_id", "id", "amount", "at", "_deleted_at"]
    assert kept[5:9] == ["_change_type", "_commit_version", "_commit_timestamp", "_corrupt_record"]
    assert "_ingested_by" not in kept
    made = history(bench.spark, sales.path, 1)[0].at
    assert made
    assert sales.bronze("id", "_change_type", "_commit_version", "_source_system", "_source_file") == [
        (id_, "insert", 1, "delta", sales.path) for id_ in (1, 2, 3)
    ]
    assert read.selectExpr("unix_millis(_commit_timestamp)").distinct().collect()[0][0] == made.timestamp() * 1000

    sales.sql(f"UPDATE {sales.name} SET amount = 11 WHERE id = 1")
    sales.sql(f"DELETE FROM {sales.name} WHERE id = 2")
    rest = bench.spark.read.format("delta").load(sales.path).selectExpr("*", "amount + 1 AS more")
    others = rest.selectExpr("id", "more AS amount", "at", "_deleted_at", "_batch_id", "_ingested_by")
    others.write.format("delta").mode("overwrite").option("overwriteSchema", True).save(sales.path)
    second = sales.load(table, 2)
    assert versions(second) == (1, 4, 4)
    assert sales.bronze("_commit_version", "_change_type", "id", "amount")[3:] == [
        (2, "update_postimage", 1, 11),
        (3, "delete", 2, 20),
        (4, "delete", 1, 11),
        (4, "delete", 3, 30),
        (4, "insert", 1, 12),
        (4, "insert", 3, 31),
    ]
    silver = bench.spark.read.format("delta").load(bench.lake.silver("orders"))
    assert not {"_change_type", "_commit_version", "_commit_timestamp"} & set(silver.columns)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(1, 12), (3, 31)]


def test_a_run_takes_its_versions_again_and_a_version_without_rows_is_no_news(bench: Workbench, sales: Sales) -> None:
    table = follower()
    sales.insert((1, 10))
    sales.ingest(table)
    nothing = sales.ingest(table, 2)
    assert (nothing.status, "still at version 1" in nothing.reason) == ("skipped", True)
    sales.insert((2, 20))
    second = sales.ingest(table, 2)
    sales.sql(f"ALTER TABLE {sales.name} SET TBLPROPERTIES ('a' = 'b')")
    third = sales.ingest(table, 3)
    assert (third.status, "has the rows of version 2" in third.reason) == ("skipped", True)
    sales.insert((3, 30))
    again = sales.ingest(table, 2)
    assert versions(again) == (1, 2, 2)
    assert again.batch
    assert second.batch
    assert (again.batch.id, again.batch.versions, again.rows.read) == (second.batch.id, second.batch.versions, 1)
    assert sales.bronze("id") == [(1,), (2,)]
    skipped = sales.ingest(table, 4, "backfill")
    assert (skipped.status, "have no intervals" in skipped.reason) == ("skipped", True)
    fourth = sales.ingest(table, 4)
    assert (versions(fourth), sales.bronze("id")[2:]) == ((2, 4, 4), [(3,)])
    transactions = [
        commit.metadata["batch"]["transaction"] for commit in history(bench.spark, bench.lake.bronze("orders"), 4)
    ]
    assert transactions == [4, 3, 2, 1]


@pytest.mark.slow
def test_a_snapshot_is_of_the_version_that_was_planned(
    bench: Workbench, sales: Sales, monkeypatch: pytest.MonkeyPatch
) -> None:
    sales.insert((1, 10), (2, 20), (3, 30))
    read = Snapshot.read

    def overtaken(self: Snapshot, spark: Any, batch: Batch) -> Any:
        sales.sql(f"UPDATE {sales.name} SET amount = -1")
        return read(self, spark, batch)

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(Snapshot, "read", overtaken)
        full = sales.ingest(follower("full", columns=["ID", "amount"], where="id < 3 AND _ingested_by = 'x' -- note"))
    assert full.batch
    assert full.batch.versions
    assert (full.batch.versions.since, full.batch.versions.to, full.batch.transaction) == (None, 1, None)
    assert sales.bronze("ID", "amount") == [(1, 10), (2, 20)]

    daily = follower("interval", path=f"file://{sales.path}/", cursor="at", columns=["id", "amount"])
    loaded = ingest_bronze(bench.spark, bench.lake, "daily", daily, run(2))
    assert loaded.batch
    assert loaded.batch.versions
    assert (loaded.batch.versions.to, loaded.watermark_to) == (2, datetime(2026, 1, 3, tzinfo=timezone.utc))
    assert bench.rows(bench.lake.bronze("daily"), "id", "amount") == [(2, -1)]


def test_what_is_wrong_is_told_before_anything_is_written(bench: Workbench) -> None:
    def said(kind: type[LakehouseError], table: Table) -> str:
        with pytest.raises(kind) as caught:
            ingest_bronze(bench.spark, bench.lake, "orders", table, run(1))
        assert not history(bench.spark, bench.lake.bronze("orders"), 1)
        return str(caught.value)

    assert "no Delta table at" in said(SourceNotFound, follower())
    sales = Sales(bench, "'theirs' = 'x'")
    sales.insert((1, 10))
    off = said(SourceUnreadable, follower())
    assert "no change feed at version 1" in off
    assert f"ALTER TABLE {sales.name} SET TBLPROPERTIES ({FEED})" in off
    assert "columns that bronze keeps for itself: _batch_id" in said(SchemaMismatch, follower("full"))
    assert "Did you mean 'amount'?" in said(SchemaMismatch, follower("full", columns=["id", "amuont"]))
    assert "no column 'day', which `extract.cursor`" in said(SchemaMismatch, follower("interval", cursor="day"))
    assert "is a number, and" in said(LakehouseError, follower("interval", cursor="id"))
    assert "is a string; a cursor is a date or a time" in said(
        LakehouseError, follower("interval", cursor="_ingested_by")
    )


@pytest.mark.slow
def test_a_table_of_ours_records_its_changes_from_the_first_load_that_follows_it(bench: Workbench) -> None:
    sales = Sales(bench, "'ingest.pipeline' = 'sales'")
    sales.insert((1, 10), (2, 20))
    table = follower(silver=FOLLOW)
    plan_table(bench.spark, bench.lake, "orders", table, run(1))
    assert len(history(bench.spark, sales.path, 9)) == 2
    sales.load(table)
    sales.sql(f"UPDATE {sales.name} SET amount = 11 WHERE id = 1")
    sales.load(table, 2)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(1, 11), (2, 20)]


@pytest.mark.slow
def test_where_the_feed_has_a_gap_the_table_is_begun_again_by_a_restore(bench: Workbench, sales: Sales) -> None:
    table = follower(silver=FOLLOW)
    sales.insert((1, 10), (2, 20))
    sales.load(table)
    sales.sql(f"ALTER TABLE {sales.name} SET TBLPROPERTIES (delta.enableChangeDataFeed = false)")
    sales.sql(f"UPDATE {sales.name} SET amount = 11 WHERE id = 1")
    with pytest.raises(SourceUnreadable, match=r"range \[2 , 4\]") as caught:
        sales.ingest(table, 2)
    remedy = f"RESTORE TABLE delta.`{bench.lake.bronze('orders')}` TO VERSION AS OF 0"
    assert remedy in str(caught.value)
    sales.sql(remedy)
    assert versions(sales.load(table, 2)) == (None, 4, 4)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(1, 11), (2, 20)]
    sales.insert((3, 30))
    assert versions(sales.load(table, 3)) == (4, 5, 5)

    sales.insert((4, 40))
    fewer = bench.spark.read.format("delta").load(sales.path).select("id", "amount")
    fewer.write.format("delta").mode("overwrite").option("overwriteSchema", True).save(sales.path)
    with pytest.raises(SourceUnreadable, match=r"incompatible data schema\. To begin again"):
        sales.load(table, 4)
    sales.sql(remedy)
    assert versions(sales.load(table, 4)) == (None, 7, 7)

    sales.sql(f"DELETE FROM {sales.name} WHERE id = 2")
    for file in Path(sales.path, "_change_data").rglob("*.parquet"):
        file.unlink()
    for file in Path(sales.path).glob("*.parquet"):
        file.unlink()
    with pytest.raises(SourceUnreadable, match=r"not all changes of .* can be read, .*does not exist"):
        sales.ingest(table, 5)


@pytest.mark.slow
@pytest.mark.parametrize("commits", [1, 4], ids=["shorter", "as long"])
def test_a_table_that_was_made_anew_is_not_taken_for_the_old_one(bench: Workbench, sales: Sales, commits: int) -> None:
    table = follower(silver=FOLLOW)
    sales.insert((1, 10))
    sales.insert((2, 20))
    sales.load(table)
    shutil.rmtree(sales.path)
    sales.make(f"'ingest.pipeline' = 'sales', {FEED}")
    for id_ in range(1, commits + 1):
        sales.insert((id_, 100))
    with pytest.raises(SourceUnreadable, match="was made anew") as caught:
        sales.ingest(table, 2)
    for path in (bench.lake.bronze("orders"), bench.lake.silver("orders")):
        assert path in str(caught.value)
        shutil.rmtree(path)
    assert versions(sales.load(table, 2)) == (None, commits, commits)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(id_, 100) for id_ in range(1, commits + 1)]


@pytest.mark.slow
def test_silver_of_one_pipeline_is_followed_by_another(bench: Workbench) -> None:
    """By the example in the documentation: what upstream loads into its silver arrives downstream."""
    upstream = csv_table()
    other = Lake(bench.lake.root, "report")
    example = next(block for block in re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.S) if "delta:" in block)
    table = parse_pipeline(f"pipeline: report\nlake: ./lake\n{example}", file="report.yaml").tables["orders_copy"]

    def follow(day: int) -> LoadResult:
        loaded = ingest_bronze(bench.spark, other, "copy", table, run(day, "live"))
        for batch in loaded.pending:
            gate = quality_gate(bench.spark, other, "copy", table, run(day, "live"), batch)
            merge_silver(bench.spark, other, "copy", table, run(day, "live"), batch, gate)
        return loaded

    same: Callable[[], bool] = lambda: (  # noqa: E731
        bench.rows(other.silver("copy"), "id", "amount") == bench.rows(other.silver("orders"), "id", "amount")
    )
    bench.load(upstream, bench.write("1.csv", "id,amount,note\n1,1,a\n2,2,b\n"), 1)
    assert follow(1).rows.read == 2
    assert same()
    bench.load(upstream, bench.write("2.csv", "id,amount,note\n2,22,c\n3,3,d\n"), 2)
    assert follow(2).rows.read == 2
    assert same()
    bench.load(upstream, bench.write("2.csv", "id,amount,note\n2,22,c\n"), 2)
    assert follow(3).rows.read == 1
    assert same()
    assert follow(4).status == "skipped"
    status = table_status(bench.spark, other, "copy", table)
    assert status.silver
    assert status.silver.last
    assert (status.silver.last.rows, status.waiting) == (1, ())


@pytest.mark.slow
def test_a_run_that_begins_anew_takes_the_table_as_it_is(bench: Workbench, sales: Sales) -> None:
    table = follower(silver=FOLLOW, starting_version=1)
    sales.insert((1, 10))
    sales.load(table)
    sales.insert((2, 20))
    anew = run(2, "live").model_copy(update={"anew": True})

    loaded = ingest_bronze(bench.spark, bench.lake, "orders", table, anew)

    assert versions(loaded) == (None, 2, 2)
    assert loaded.rows.read == 2
    sales.insert((3, 30))
    assert versions(sales.ingest(table, day=3)) == (2, 3, 3)
