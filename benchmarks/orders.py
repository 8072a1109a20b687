"""TPC-H's `orders` as a table: the project's, one by hand for such merges, and one whose layout nobody thought of."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.tpch import ORDERS, Orders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.config import Table
    from airflow_ingest.lakehouse import Batch, RunInfo

KEY = "o_orderkey"
_FILES = 4
"""Files of a clustered table for each scale factor: 375,000 rows each, so that the batch's keys lie in one."""
_COLUMNS = ", ".join(f"{name} {kind}" for name, kind in ORDERS.items())


def table() -> Table:
    """The configuration of `orders`."""
    from airflow_ingest.config import Table

    silver = {"columns": ORDERS, "keys": [KEY], "cluster_by": [KEY]}
    rules = [{"row_count": {"min": 1}}, {"name": "has_price", "expect": "o_totalprice > 0"}]
    source = {"files": "given to each load", "format": "csv"}
    return Table.model_validate({"source": source, "silver": silver, "quality": {"rules": rules}})


def run_of(day: int) -> RunInfo:
    """The run of a day's interval."""
    from airflow_ingest.lakehouse import Interval, RunInfo

    start = datetime(2026, 1, day, tzinfo=timezone.utc)
    return RunInfo(pipeline="bench", run_id=f"r{day}", interval=Interval(start=start, end=start + timedelta(days=1)))


def load(spark: SparkSession, lake: Path, orders: Orders) -> Batch:
    """Loads the table, and its batch into bronze alone."""
    from airflow_ingest.lakehouse import Lake, ingest_bronze, merge_silver, quality_gate

    into = Lake(str(lake), "bench")
    first = ingest_bronze(spark, into, "orders", table(), run_of(1), files=str(orders.table)).batch
    assert first
    gate = quality_gate(spark, into, "orders", table(), run_of(1), first)
    merge_silver(spark, into, "orders", table(), run_of(1), first, gate)
    batch = ingest_bronze(spark, into, "orders", table(), run_of(2), files=str(orders.batch)).batch
    assert batch
    return batch


def create(spark: SparkSession, path: Path, file: Path) -> None:
    """The table by hand, as it came from its file."""
    spark.read.schema(_COLUMNS).csv(str(file), header=True).write.format("delta").save(str(path))


def scatter(spark: SparkSession, path: Path, file: Path) -> None:
    """The table as it is where nobody has thought of its layout: every key may lie in any file."""
    rows = spark.read.schema(_COLUMNS).csv(str(file), header=True)
    rows.repartition(16).write.format("delta").save(str(path))


def lay_out(spark: SparkSession, path: Path, scale: float) -> None:
    """Clusters a table by its key, as maintenance does with `cluster_by`."""
    from airflow_ingest.lakehouse.settings import settings_of

    size = spark.sql(f"DESCRIBE DETAIL delta.`{path}`").collect()[0].sizeInBytes
    sizes = dict.fromkeys(("maxFileSize", "minFileSize"), str(int(size / max(1, round(_FILES * scale)))))
    spark.sql(f"ALTER TABLE delta.`{path}` CLUSTER BY ({KEY})")
    with settings_of(spark, {f"spark.databricks.delta.optimize.{key}": value for key, value in sizes.items()}):
        spark.sql(f"OPTIMIZE delta.`{path}`").collect()


def mark(spark: SparkSession, path: Path) -> None:
    """Lets a table's files be marked from now on, where rows in them are no more, and not written again."""
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")


def look_at(spark: SparkSession, path: str) -> None:
    """What the load before this one has done in a quiet life: the table's log is known."""
    spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()
