"""Two ways to run a pipeline's day: through Airflow's operators, and through `airflow-ingest run`."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import pytest
from typer.testing import CliRunner

from airflow_ingest.cli.app import app
from airflow_ingest.config import render
from airflow_ingest.lakehouse import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.runtime import ServerStatus

Kind = Literal["live", "backfill"]

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


def by_operators(folder: Path, day: int, kind: Kind) -> str:
    """The pipeline's operators, executed in order as Airflow does, each handed what the one above returned."""
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from airflow_ingest.factory.loader import load_dag

    dag = load_dag(folder / "shop.yaml")
    start = datetime(2026, 1, day, tzinfo=timezone.utc)
    end = start + timedelta(days=1)
    handed_on: Any = None
    way = ["orders.ingest_bronze", "orders.has_pending_batches", "orders.quality_gate"]
    state = "loaded"
    while way:
        task: Any = dag.get_task(way.pop(0))
        pushed: dict[str, Any] = {}
        taken: list[str] = []
        task.do_branch = lambda _, branches, taken=taken: taken.extend(branches)
        if hasattr(task, "files"):
            task.files = render(str(task.files), start, end)
        for field in ("batches", "outcomes"):
            if hasattr(task, field):
                setattr(task, field, handed_on)
        run = SimpleNamespace(
            run_id=f"{kind}__{start:%Y-%m-%d}",
            run_type="scheduled" if kind == "live" else kind,
            data_interval_start=start,
            data_interval_end=end,
        )
        context = {
            "dag_run": run,
            "dag": dag,
            "task": task,
            "outlet_events": {outlet: SimpleNamespace(extra={}) for outlet in task.outlets},
            "ti": SimpleNamespace(xcom_push=pushed.__setitem__, try_number=1, max_tries=0),
        }
        try:
            result = task.execute(context)
        except AirflowFailException:
            state = "held"
        except AirflowSkipException:
            pass
        else:
            handed_on = pushed.get("return_value", result)
        if task.task_id == "orders.quality_gate":
            way += [*sorted(taken, reverse=True), "gold.per_day"]
    return state


def by_command(folder: Path, day: int, kind: Kind) -> str:
    """`airflow-ingest run`."""
    how = ["--live"] if kind == "live" else []
    file = str(folder / "shop.yaml")
    result = CliRunner().invoke(app, ["run", file, "--json", "--interval", f"2026-01-{day:02d}", *how])
    runs = json.loads(result.stdout)
    return str(next(run["state"] for run in runs if run["table"] == "orders"))


class Shop:
    """A pipeline of one table and one gold table in a folder of its own."""

    def __init__(self, folder: Path, driver: Driver, spark: SparkSession) -> None:
        self.folder, self.driver, self.spark = folder, driver, spark
        self.lake = Lake(f"{folder}/lake", "shop")
        (folder / "landing").mkdir()
        (folder / "shop.yaml").write_text(PIPELINE.format(folder=folder))

    def day(self, number: int, *rows: str, kind: Kind = "live") -> str:
        """Let the day's file say `rows` (`id,amount`), and run the day."""
        start = f"2026-01-{number:02d}"
        text = "day,id,amount\n" + "".join(f"{start},{row}\n" for row in rows)
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
