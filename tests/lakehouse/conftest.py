"""A small pipeline of one table, driven step by step on real Spark and Delta."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.config import Gold, Table
from airflow_ingest.lakehouse import (
    GateOutcome,
    Interval,
    Lake,
    LoadResult,
    RunInfo,
    ingest_bronze,
    merge_silver,
    quality_gate,
    refresh_gold,
)
from airflow_ingest.lakehouse.tables import ensure, record_changes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Workbench:
    """One lake, one landing folder, and the steps that a run takes."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark = spark
        self.landing = folder / "landing"
        self.landing.mkdir()
        self.lake = Lake(str(folder / "lake"), "shop")

    def write(self, name: str, content: str | bytes) -> str:
        path = self.landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    def ingest(self, table: Table, files: str, day: int = 1, kind: Any = "backfill") -> LoadResult:
        return ingest_bronze(self.spark, self.lake, "orders", table, run(day, kind), files=files)

    def gate(self, table: Table, loaded: LoadResult, day: int = 1) -> GateOutcome:
        assert loaded.batch
        return quality_gate(self.spark, self.lake, "orders", table, run(day), loaded.batch)

    def merge(self, table: Table, gate: GateOutcome, day: int = 1) -> LoadResult:
        return merge_silver(self.spark, self.lake, "orders", table, run(day), gate.batch, gate)

    def load(self, table: Table, files: str, day: int = 1) -> LoadResult:
        """Ingest, gate and merge."""
        return self.merge(table, self.gate(table, self.ingest(table, files, day), day), day)

    def publish(self, table: str, columns: str, *rows: tuple[Any, ...]) -> None:
        """Rows as the whole of a table such as `silver.orders`, with a change feed, whatever a pipeline would do."""
        frame = self.spark.createDataFrame(list(rows), columns)
        path = self.lake.path(*table.split("."))
        ensure(self.spark, self.lake, path, frame)
        record_changes(self.spark, path)
        frame.write.format("delta").mode("overwrite").option("overwriteSchema", True).save(path)

    def sql(self, statement: str) -> None:
        """Runs `statement`, in which `{silver.orders}` is a table of the lake."""
        named = re.sub(r"\{(\w+)\.(\w+)\}", lambda found: f"delta.`{self.lake.path(found[1], found[2])}`", statement)
        self.spark.sql(named).collect()

    def refresh(self, name: str, gold: Gold, day: int = 1) -> LoadResult:
        return refresh_gold(self.spark, self.lake, name, gold, run(day))

    def rows(self, path: str, *columns: str) -> list[tuple[Any, ...]]:
        """The rows of a table as tuples, sorted; all columns but the audit ones unless `columns` are named."""
        frame = self.spark.read.format("delta").load(path)
        wanted = columns or [column for column in frame.columns if not column.startswith("_")]
        quoted = [
            "`" + column.replace("`", "``") + "`" if "." not in column or not columns else column for column in wanted
        ]
        return sorted((tuple(row) for row in frame.select(*quoted).collect()), key=repr)

    def reasons(self) -> list[tuple[str, str | None, str]]:
        """Every reason in the DLQ: rule, column, message."""
        letters = self.spark.read.format("delta").load(self.lake.dlq("orders")).collect()
        found = ((reason.rule, reason.column, reason.message) for row in letters for reason in row.reasons)
        return sorted(found, key=repr)


def run(day: int, kind: Any = "backfill") -> RunInfo:
    start = datetime(2026, 1, day, tzinfo=timezone.utc)
    interval = Interval(start=start, end=start + timedelta(days=1))
    return RunInfo(pipeline="shop", run_id=f"run_{day}", interval=interval, kind=kind)


def csv_table(silver: dict[str, Any] | None = None, **more: Any) -> Table:
    """A table that reads CSV; without `silver` it has id (its key), amount and note."""
    columns = {"id": "int", "amount": "int", "note": "string"}
    spec: dict[str, Any] = {
        "source": {"files": "unused", "format": "csv"},
        "silver": {"columns": columns, "keys": ["id"], "sequence_by": ["amount"], **(silver or {})},
        **more,
    }
    return Table.model_validate(spec)


@pytest.fixture
def bench(spark: SparkSession, tmp_path: Path) -> Workbench:
    return Workbench(spark, tmp_path)
