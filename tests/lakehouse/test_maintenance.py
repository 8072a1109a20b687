"""Maintenance: what is rewritten and removed, what is left alone, and that loads take no notice."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.config import Gold, parse_pipeline
from airflow_ingest.lakehouse import (
    ConflictError,
    Lake,
    LakehouseError,
    Maintained,
    TableOwnedByOther,
    Target,
    maintain_table,
    targets_of,
)
from airflow_ingest.lakehouse import log as log_module
from airflow_ingest.lakehouse.commits import described
from airflow_ingest.lakehouse.log import Commit, history, published
from airflow_ingest.lakehouse.maintenance import layout, run, vacuum
from airflow_ingest.lakehouse.maintenance.layout import LARGEST_FILE, LEAST_FILE, file_size
from airflow_ingest.lakehouse.maintenance.retention import retention
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.lakehouse.silver import load as loading
from airflow_ingest.lakehouse.silver import tombstones
from tests.lakehouse.conftest import Workbench, csv_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GIB = 1 << 30
NOW = datetime.now(timezone.utc)


@pytest.fixture
def nothing_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SMALL_FILES", 2)


def maintained(bench: Workbench, table: str, **how: Any) -> Maintained:
    layouts = {key: tuple(how.pop(key)) for key in ("zorder_by", "cluster_by") if key in how}
    result = maintain_table(bench.spark, bench.lake, Target(table=table, **layouts), "maintenance_1", **how)
    assert result is not None
    return result


def operations(bench: Workbench, path: str) -> list[str]:
    return [commit.operation for commit in history(bench.spark, path, 100)]


def load(bench: Workbench, day: int, rows: str) -> None:
    bench.load(csv_table({"sequence_by": []}), bench.write(f"{day}.csv", f"id,amount,note\n{rows}\n"), day)


def by_note(**more: Any) -> Gold:
    sql = "SELECT note, sum(amount) AS total FROM silver.orders GROUP BY note"
    return Gold.model_validate({"sql": sql, "load": "overwrite", **more})


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("nothing_is_small")
def test_loads_take_no_notice_of_maintenance(bench: Workbench) -> None:
    load(bench, 1, "1,1,a\n2,2,b")
    load(bench, 2, "3,3,a")
    first = bench.refresh("notes", by_note())
    rows = bench.rows(bench.lake.silver("orders"))

    silver = maintained(bench, "silver.orders", zorder_by=["note"])
    bronze = maintained(bench, "bronze.orders")

    assert (silver.status, silver.files_after, silver.layout) == ("maintained", 1, "sorted by note")
    assert silver.files_before > 1
    assert (bronze.status, bronze.reason.split(";")[0]) == ("left alone", "no two files could be put together")
    assert operations(bench, bench.lake.silver("orders"))[0] == "OPTIMIZE"
    assert bench.rows(bench.lake.silver("orders")) == rows
    again = bench.refresh("notes", by_note())
    assert (again.status, again.version) == ("unchanged", first.version)
    assert progress_of(bench.spark, bench.lake, "orders").behind == ()


def wide(bench: Workbench, layer: str, name: str, *, partitioned: bool = False) -> str:
    """A table of ours with eight files."""
    path = bench.lake.path(layer, name)
    partitions = "PARTITIONED BY (day)" if partitioned else ""
    bench.spark.sql(
        f"CREATE TABLE delta.`{path}` (id bigint, note string, day date) USING delta {partitions} "
        "TBLPROPERTIES ('ingest.pipeline' = 'shop', 'delta.enableChangeDataFeed' = 'true')"
    )
    for number in range(4):
        append(bench, path, number)
    return path


def append(bench: Workbench, path: str, number: int) -> None:
    rows = bench.spark.range(number * 10, number * 10 + 10, 1, 2)
    day = date(2026, 1, 1 + number % 2)
    rows.selectExpr("id", "cast(id % 3 AS string) AS note", f"DATE'{day}' AS day").write.format("delta").mode(
        "append"
    ).save(path)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("nothing_is_small")
def test_a_sorted_table_is_sorted_again_where_rows_changed_alone(bench: Workbench) -> None:
    path = wide(bench, "gold", "daily", partitioned=True)
    first = maintained(bench, "gold.daily", zorder_by=["note"])
    assert (first.files_before, first.files_after, first.status) == (8, 2, "maintained")
    idle = maintained(bench, "gold.daily", zorder_by=["note"])
    assert (idle.status, idle.version) == ("left alone", first.version)
    assert "no row has changed since its last OPTIMIZE" in idle.reason

    append(bench, path, 5)

    planned = maintained(bench, "gold.daily", zorder_by=["note"], dry_run=True)
    assert planned.statements == (f"OPTIMIZE delta.`{path}` WHERE (`day` = DATE'2026-01-02') ZORDER BY (`note`)",)
    assert planned.version == history(bench.spark, path, 1)[0].version
    again = maintained(bench, "gold.daily", zorder_by=["note"])
    assert (again.files_before, again.files_after) == (4, 2)
    newest = history(bench.spark, path, 1)[0]
    assert (newest.operation, newest.metrics["numRemovedFiles"]) == ("OPTIMIZE", 3)
    assert (newest.metadata["pipeline"], newest.metadata["run"]) == ("shop", "maintenance_1")
    assert maintained(bench, "gold.daily", zorder_by=["id"], dry_run=True).statements != ()
    leaked = ("commitInfo.userMetadata", "optimize.maxFileSize", "optimize.minFileSize")
    assert [bench.spark.conf.get(f"spark.databricks.delta.{key}", None) for key in leaked] == [None] * 3


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("nothing_is_small")
def test_a_table_is_clustered_as_configured_though_overwrites_forget_it(bench: Workbench) -> None:
    path = wide(bench, "gold", "daily")
    for _ in range(2):
        done = maintained(bench, "gold.daily", cluster_by=["note", "day"])
        assert (done.status, done.layout, done.files_after) == ("maintained", "clustered by note, day", 1)
        detail = bench.spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0]
        assert list(detail["clusteringColumns"]) == ["note", "day"]
        assert maintained(bench, "gold.daily", cluster_by=["note", "day"]).status == "left alone"
        found = published(bench.spark, path)
        assert found is not None
        assert found.rows < found.version
        rows = bench.spark.read.format("delta").load(path).repartition(4)
        rows.write.format("delta").mode("overwrite").option("overwriteSchema", True).save(path)
    assert maintained(bench, "gold.daily").layout == "larger files"
    append(bench, path, 9)
    assert maintained(bench, "gold.daily", zorder_by=["id"]).layout == "clustered by id"


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("nothing_is_small")
def test_a_table_that_cannot_be_clustered_says_what_to_do(bench: Workbench) -> None:
    wide(bench, "gold", "daily", partitioned=True)
    with pytest.raises(LakehouseError, match=r"gold\.daily cannot be clustered by note: .*Write partition_by again"):
        maintained(bench, "gold.daily", cluster_by=["note"])


@pytest.mark.slow
@pytest.mark.spark
def test_small_absent_and_other_pipelines_tables_are_left_alone(bench: Workbench) -> None:
    wide(bench, "gold", "daily")
    done = maintained(bench, "gold.daily", zorder_by=["note"])
    assert (done.status, done.files_before, done.files_after) == ("left alone", 8, 8)
    assert done.reason == "small: 8 files; no file of the past is old enough to be removed"
    assert maintain_table(bench.spark, bench.lake, Target(table="gold.none"), "m") is None
    other = Lake(bench.lake.root, "other")
    with pytest.raises(TableOwnedByOther):
        maintain_table(bench.spark, other, Target(table="gold.daily"), "m")


def aged(path: str, days: int) -> None:
    """Make a table, whose log nobody has read yet, `days` older than it is."""
    shift = days * 86_400_000

    def earlier(found: re.Match[str]) -> str:
        return f"{found[1]}{int(found[2]) - shift}"

    for file in Path(path).rglob("*"):
        if file.suffix == ".json":
            file.write_text(
                re.sub(r'("(?:deletionTimestamp|timestamp|modificationTime)":)(\d+)', earlier, file.read_text())
            )
        if file.suffix == ".crc":
            file.unlink()
    for file in Path(path).rglob("*"):
        if file.is_file():
            os.utime(file, (NOW.timestamp() - days * 86_400,) * 2)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("nothing_is_small")
def test_files_of_the_past_go_once_they_are_old_enough(bench: Workbench) -> None:
    path = wide(bench, "gold", "daily")
    assert maintained(bench, "gold.daily").files_after == 1
    copy = str(shutil.copytree(path, bench.lake.path("gold", "old")))
    aged(copy, 8)

    dry = maintained(bench, "gold.old", dry_run=True)
    assert (dry.removed_files, dry.version) == (8, 5)
    kept = maintained(bench, "gold.old", retain=timedelta(days=9))
    assert kept.removed_files == 0
    done = maintained(bench, "gold.old")
    assert (done.status, done.removed_files) == ("maintained", 8)
    assert len(list(Path(copy).glob("*.parquet"))) == 1
    assert operations(bench, copy)[:2] == ["VACUUM END", "VACUUM START"]
    again = maintained(bench, "gold.old")
    assert (again.status, again.version) == ("left alone", done.version)
    assert bench.spark.read.format("delta").load(copy).count() == 40


class LosingSession:
    """A session in whose OPTIMIZE a load comes first."""

    def __init__(self, spark: SparkSession, error: str) -> None:
        self._spark, self._error = spark, error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spark, name)

    def sql(self, statement: str) -> Any:
        if statement.startswith("OPTIMIZE"):
            raise RuntimeError(self._error)
        return self._spark.sql(statement)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("nothing_is_small")
def test_a_load_goes_first_and_the_table_is_left_for_next_time(bench: Workbench) -> None:
    wide(bench, "gold", "daily")
    conflict = (
        "[DELTA_CONCURRENT_DELETE_READ.WITHOUT_HINT] A file was deleted. Conflicting commit: "
        '{"operation": "MERGE", "userMetadata": "{\\"run\\": \\"nightly\\"}"}'
    )
    spark: Any = LosingSession(bench.spark, conflict)
    done = maintain_table(spark, bench.lake, Target(table="gold.daily"), "m")
    assert done is not None
    assert (done.status, done.files_after) == ("next time", 8)
    assert done.reason == "MERGE by run nightly came first; the next maintenance goes on"
    assert bench.spark.conf.get("spark.databricks.delta.commitInfo.userMetadata", None) is None


@pytest.mark.parametrize(
    ("total", "size"),
    [
        pytest.param(GIB, LEAST_FILE, id="least"),
        pytest.param(512 * GIB, LEAST_FILE, id="still-least"),
        pytest.param(768 * GIB, 768 << 20, id="between"),
        pytest.param(50_000 * GIB, LARGEST_FILE, id="largest"),
    ],
)
def test_files_grow_with_the_table_from_512_mb_to_1_gb(total: int, size: int) -> None:
    assert file_size(total) == size


@pytest.mark.parametrize("retain", [timedelta(0), timedelta(hours=1), timedelta(days=7, seconds=-1)], ids=str)
def test_a_retention_below_seven_days_is_refused_before_anything_is_read(retain: timedelta) -> None:
    nothing: Any = None
    with pytest.raises(LakehouseError, match=r"cannot be removed after .* Nothing was removed\. Keep them for 7d"):
        maintain_table(nothing, Lake("lake", "shop"), Target(table="silver.orders"), "m", retain=retain)


@pytest.mark.parametrize(
    ("asked", "written_down", "kept"),
    [
        pytest.param(None, None, 7, id="default"),
        pytest.param(None, "interval 30 days", 30, id="the-tables-own"),
        pytest.param(None, "interval 1 week 2 days", 9, id="in-parts"),
        pytest.param(None, "interval 0 hours", 7, id="never-below-safe"),
        pytest.param(timedelta(days=10), "interval 8 days", 10, id="longer"),
        pytest.param(timedelta(days=8), "interval nonsense", 8, id="not-understood"),
    ],
)
def test_the_retention_is_the_longest_that_anybody_needs(
    asked: timedelta | None, written_down: str | None, kept: int
) -> None:
    assert retention("silver.orders", asked, written_down) == timedelta(days=kept)


def test_a_retention_below_the_tables_own_is_refused() -> None:
    with pytest.raises(LakehouseError, match=r"silver\.orders keeps .* for 30d: its property delta\.deletedFileRet"):
        retention("silver.orders", timedelta(days=8), "interval 30 days")


def commit(version: int, operation: str, days_ago: float, **metadata: Any) -> Commit:
    return Commit(version, operation, metadata, at=NOW - timedelta(days=days_ago))


@pytest.mark.parametrize(
    ("commits", "worth_it"),
    [
        pytest.param([commit(1, "MERGE", 1), commit(0, "CREATE TABLE", 20)], False, id="nothing-old"),
        pytest.param([commit(1, "MERGE", 8), commit(0, "CREATE TABLE", 20)], True, id="old"),
        pytest.param([commit(2, "VACUUM END", 0.5), commit(1, "MERGE", 8)], False, id="vacuumed-since"),
        pytest.param([commit(2, "VACUUM END", 2), commit(1, "MERGE", 8)], True, id="old-since-the-last"),
        pytest.param([commit(900, "MERGE", 1), commit(899, "MERGE", 2)], True, id="older-ones-out-of-sight"),
    ],
)
def test_files_are_listed_only_where_the_log_says_that_some_became_old(commits: list[Commit], worth_it: bool) -> None:
    assert vacuum._may_find(commits, timedelta(days=7)) is worth_it


@pytest.mark.parametrize(
    ("operations", "version"),
    [
        pytest.param(["CREATE TABLE", "WRITE", "OPTIMIZE", "VACUUM START", "VACUUM END"], 1, id="maintained"),
        pytest.param(["CREATE TABLE", "WRITE", "CLUSTER BY", "OPTIMIZE", "WRITE"], 4, id="loaded-since"),
        pytest.param(["WRITE", "WRITE", "OPTIMIZE", "RESTORE"], 3, id="restored"),
        pytest.param(["WRITE", *["OPTIMIZE"] * 60], 0, id="beyond-the-usual-look-back"),
    ],
)
def test_rows_are_what_they_are_since_the_last_commit_that_changed_them(
    operations: list[str], version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = [Commit(number, name, {}) for number, name in enumerate(operations)][::-1]
    monkeypatch.setattr(log_module, "history", lambda spark, path, limit: commits[:limit])
    nothing: Any = None
    found = published(nothing, "x")
    assert found is not None
    assert (found.version, found.rows) == (len(operations) - 1, version)


@pytest.mark.parametrize(
    ("operation", "metrics", "conflict"),
    [
        ("MERGE", {"numTargetRowsInserted": 1}, True),
        ("MERGE", {"numTargetRowsUpdated": 1}, True),
        ("MERGE", {"numTargetRowsInserted": 0, "numTargetRowsUpdated": 0}, False),
        ("DELETE", {"numDeletedRows": 3}, False),
        ("OPTIMIZE", {}, False),
        ("RESTORE", {}, True),
    ],
)
def test_deletions_are_checked_against_what_buries_and_not_against_maintenance(
    operation: str, metrics: dict[str, int], conflict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Any = None
    taken = tombstones.Tombstones(nothing, Lake("lake", "shop"), "orders", ("id",), version=3)
    monkeypatch.setattr(tombstones, "commits_after", lambda spark, path, version: [Commit(4, operation, {}, metrics)])
    with pytest.raises(ConflictError) if conflict else nullcontext():
        taken.check()


@pytest.mark.parametrize(
    ("between", "others"),
    [
        pytest.param([], False, id="nobody"),
        pytest.param(["OPTIMIZE", "VACUUM START", "VACUUM END"], False, id="maintenance"),
        pytest.param(["OPTIMIZE", "MERGE"], True, id="a-load"),
    ],
)
def test_keys_are_derived_again_where_rows_came_in_between_alone(
    between: list[str], others: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Any = None
    commits = [Commit(4 + number, name, {}) for number, name in enumerate([*between, "MERGE"])][::-1]
    monkeypatch.setattr(loading, "commits_after", lambda spark, path, version: commits)
    assert loading.others_between(nothing, "x", 3, commits[0].version) is others


def test_every_table_of_a_pipeline_is_looked_after() -> None:
    text = """\
pipeline: shop
lake: ./lake
tables:
  raw: {source: {files: x.csv, format: csv}}
  gated: {source: {files: x.csv, format: csv}, quality: {rules: [{row_count: {min: 1}}]}}
  orders:
    source: {files: x.csv, format: csv}
    silver:
      {columns: {id: int, day: date}, keys: [id], cluster_by: [day], delete_when: "op = 'D'", tombstone_retention: 90d}
gold:
  daily: {sql: "SELECT day, count(*) AS n FROM silver.orders GROUP BY day", optimize: {zorder_by: [day]}}
"""
    targets: Mapping[str, Target] = {found.table: found for found in targets_of(parse_pipeline(text, file="shop.yaml"))}
    assert set(targets) == {
        "bronze.raw",
        "bronze.gated",
        "dlq.gated",
        "bronze.orders",
        "silver.orders",
        "dlq.orders",
        "ops.tombstones/orders",
        "gold.daily",
        "ops.batches",
        "ops.circuit",
        "ops.failed_loads",
        "ops.ledger",
        "ops.profiles",
        "ops.quality_results",
        "ops.runs",
    }
    assert targets["ops.tombstones/orders"].forget_after == timedelta(days=90)
    assert targets["silver.orders"].cluster_by == ("day",)
    assert targets["gold.daily"].zorder_by == ("day",)
    assert [name for name, target in targets.items() if target.is_shared] == list(targets)[-7:]
    assert run.maintain_table is maintain_table
    assert described({"b": 1, "a": 2}) == {"spark.databricks.delta.commitInfo.userMetadata": '{"a": 2, "b": 1}'}
