"""A small shop: a pipeline of one table and one gold table, and the ways to run its days."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from airflow_ingest.lakehouse import Lake
from tests.driving import Kind, by_command, by_operators

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.runtime import ServerStatus

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: {folder}/lake
tables:
  orders:
    source: {{files: "{folder}/landing/{{{{ ds }}}}.csv", format: csv, options: {{header: true}}}}
    silver:
      columns: {{day: date, id: int, amount: int}}
      keys: [id]
      load: merge
    quality: {{max_reject_rate: 30%}}
gold:
  per_day:
    sql: SELECT day, sum(amount) AS total FROM silver.orders GROUP BY day
    load: replace
    partition_by: [day]
"""


class Driver(Protocol):
    """Runs a day of the pipeline in a folder, and tells which steps of `orders` did not end well."""

    def __call__(self, folder: Path, day: int, kind: Kind) -> str: ...


class Shop:
    """A pipeline of one table and one gold table in a folder of its own."""

    def __init__(self, folder: Path, driver: Driver, spark: SparkSession) -> None:
        self.folder, self.driver, self.spark = folder, driver, spark
        self.head = "day,id,amount"
        self.lake = Lake(f"{folder}/lake", "shop")
        (folder / "landing").mkdir()
        (folder / "shop.yaml").write_text(PIPELINE.format(folder=folder))

    def describe(self, old: str, new: str) -> None:
        """Have the pipeline's file say `new` in the place of `old`."""
        file = self.folder / "shop.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def day(self, number: int, *rows: str, kind: Kind = "live") -> str:
        """Let the day's file say `rows` (`id,amount`), and run the day."""
        start = f"2026-01-{number:02d}"
        text = f"{self.head}\n" + "".join(f"{start},{row}\n" for row in rows)
        (self.folder / "landing" / f"{start}.csv").write_text(text)
        return self.driver(self.folder, number, kind)

    def silver(self) -> dict[int, int]:
        """The amount of every key."""
        rows = self.spark.read.format("delta").load(self.lake.silver("orders")).select("id", "amount").collect()
        assert len({row[0] for row in rows}) == len(rows)
        return {row[0]: row[1] for row in rows}

    def gold(self) -> dict[int, int]:
        """The total of every day."""
        rows = self.spark.read.format("delta").load(self.lake.gold("per_day")).select("day", "total").collect()
        return {row[0].day: row[1] for row in rows}

    def version(self) -> int:
        """The newest version of silver."""
        from airflow_ingest.lakehouse.log import history

        return history(self.spark, self.lake.silver("orders"), 1)[0].version


@pytest.fixture(
    params=[
        pytest.param(by_operators, id="operators"),
        pytest.param(by_command, id="command"),
    ]
)
def shop(request: pytest.FixtureRequest, tmp_path: Path, spark: SparkSession, spark_server: ServerStatus) -> Shop:
    return Shop(tmp_path, request.param, spark)
