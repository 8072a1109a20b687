"""On a running Airflow, a backfill of old days beside the runs of the schedule ends as one clean pass would."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from typer.testing import CliRunner

from airflow_ingest.cli.app import app
from airflow_ingest.config import load_pipeline
from airflow_ingest.lakehouse import Lake, table_status
from airflow_ingest.testing import DagRun, TaskRun
from tests.live.conftest import PATIENCE, Office, Site

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.live, pytest.mark.slow]

WEEK = """
pipeline: week
schedule: "@daily"
start_date: 2026-01-04
catchup: true
max_active_runs: 4
lake: ${LAKE_ROOT}/week
retries: {attempts: 3, delay: 1s}
dag: {end_date: 2026-01-05}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/week/orders/{{ ds }}.csv", format: csv, options: {header: true}}
    silver:
      columns: {id: int, day: date, amount: int}
      keys: [id]
    quality: {max_reject_rate: 50%, rules: [{name: positive, expect: "amount > 0"}]}
  prices:
    source: {files: "${LANDING_ROOT}/week/prices/{{ ds }}.csv", format: csv, options: {header: true}}
gold:
  takings:
    sql: SELECT day, count(*) AS orders, sum(amount) AS amount FROM silver.orders GROUP BY day
    load: replace
    partition_by: [day]
"""
FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
OLD, NEW = ([FIRST + timedelta(days=number) for number in numbers] for numbers in (range(3), range(3, 5)))
LOADED = ("bronze/orders", "bronze/prices", "silver/orders", "dlq/orders", "gold/takings")
WHO_AND_WHEN = {
    "bronze": ("_run_id", "_bronze_ingestion_timestamp"),
    "silver": ("_ingested_at", "_ingested_by"),
    "dlq": ("run_id", "rejected_at", "generation"),
    "gold": ("_ingested_at", "_ingested_by", "_batch_id"),
}

Rows = list[tuple[int, str, str]]
"""What a day's file says: id, day, and the amount as text, since some are none."""
State = dict[str, list[tuple[Any, ...]]]


def orders() -> Iterator[Rows]:
    """Every day's orders: keys recur over the days, some rows are bad, one comes twice."""
    chance = random.Random(20260101)
    for day in (f"{day:%Y-%m-%d}" for day in [*OLD, *NEW]):
        ids = chance.sample(range(40), 20)
        rows = [(id_, day, str(chance.randint(1, 999))) for id_ in ids]
        yield [*rows[2:], rows[5], (ids[0], day, "many"), (ids[1], day, "-5")]


def newest() -> list[tuple[int, str, int]]:
    """What silver should hold, by arithmetic: of every key the good row of the newest day."""
    best = {id_: (day, int(amount)) for rows in orders() for id_, day, amount in rows if amount.isdigit()}
    return sorted((id_, *row) for id_, row in best.items())


def land(site: Site) -> None:
    for rows in orders():
        text = "\n".join(["id,day,amount", *(",".join(map(str, row)) for row in rows)])
        for table in ("orders", "prices"):
            site.land(f"{table}/{rows[0][1]}.csv", f"{text}\n")


def clean_pass(site: Site, folder: Path) -> Path:
    """Another lake, which took the same days in order, one at a time, in this process."""
    file, lake = folder / "week.yaml", folder / "week"
    file.write_text(WEEK)
    days = f"{OLD[0]:%Y-%m-%d}..{NEW[-1]:%Y-%m-%d}"
    env = {"LAKE_ROOT": str(lake.parent), "LANDING_ROOT": str(site.landing.parent)}
    done = CliRunner().invoke(app, ["run", str(file), "--live", "--json", "--interval", days], env=env)
    assert done.exit_code == 0, done.output
    return lake


def state_of(spark: SparkSession, lake: Path) -> State:
    """All rows of a lake, without the columns that say when and by whom."""
    tables = {name: spark.read.format("delta").load(f"{lake}/{name}") for name in LOADED}
    return {
        name: sorted(map(tuple, table.drop(*WHO_AND_WHEN[name.split("/")[0]]).collect()), key=repr)
        for name, table in tables.items()
    }


def watermarks(spark: SparkSession, site: Site) -> set[datetime | None]:
    """How far bronze and silver have got."""
    env = {"LAKE_ROOT": str(site.lake.parent), "LANDING_ROOT": str(site.landing.parent)}
    table = load_pipeline(site.dags / "week.yaml", env=env).tables["orders"]
    status = table_status(spark, Lake(str(site.lake), "week"), "orders", table)
    return {layer.watermark for layer in (status.bronze, status.silver) if layer}


def run_to_the_end(site: Site, reprocess: Literal["none", "completed"]) -> list[DagRun]:
    """Backfills the old days, four at once, and waits until nothing runs any more."""
    airflow = site.airflow
    airflow.api.close_backfills("week")
    airflow.api.backfill("week", OLD[0], OLD[-1], max_active_runs=4, reprocess=reprocess)
    airflow.api.unpause("week")
    days = [*OLD, *NEW]

    def over() -> bool:
        runs = airflow.api.runs("week")
        return len(runs) == len(days) and all(run.finished for run in runs)

    airflow.wait_for(over, timeout=PATIENCE, what="the backfill and the runs of the schedule", poll=2)
    runs = airflow.api.runs("week")
    kinds = [("backfill", "success")] * len(OLD) + [("scheduled", "success")] * len(NEW)
    assert [(run.run_type, run.state) for run in runs] == kinds, site.failures("week")
    assert [run.logical_date for run in runs] == days
    return runs


def side_by_side(some: Iterable[DagRun | TaskRun], others: Iterable[DagRun | TaskRun]) -> int:
    """How many pairs were under way at the same moment."""
    return sum(
        one.started < other.ended and other.started < one.ended
        for one, other in itertools.product(some, others)
        if one is not other and one.started and one.ended and other.started and other.ended
    )


def changed_rows(site: Site, runs: Iterable[DagRun]) -> int:
    """The rows of silver that the runs' merges wrote or took back."""
    loads = [site.airflow.api.xcom("week", run.run_id, "orders.merge_silver") for run in runs]
    kinds = ("inserted", "updated", "deleted", "retracted")
    return sum(load["rows"][kind] for load in loads for kind in kinds)


def test_a_backfill_beside_the_schedule_ends_as_a_clean_pass_and_again_changes_nothing(
    office: Office, tmp_path: Path
) -> None:
    site = office.site.within("week")
    land(site)
    site.drop("week.yaml", WEEK)
    clean = clean_pass(site, tmp_path)
    site.airflow.wait_for(lambda: "week" in site.airflow.api.dags(), timeout=120, what="the DAG")

    runs = run_to_the_end(site, "none")

    backfill, live = runs[: len(OLD)], runs[len(OLD) :]
    assert side_by_side(backfill, backfill)
    assert side_by_side(live, backfill)
    tasks = [[task for run in some for task in site.airflow.api.tasks("week", run.run_id)] for some in (backfill, live)]
    assert side_by_side(*tasks)
    with site.airflow.spark() as spark:
        expected, found = state_of(spark, clean), state_of(spark, site.lake)
        assert found == expected
        silver = spark.read.format("delta").load(f"{site.lake}/silver/orders")
        rows = silver.selectExpr("id", "cast(day AS string)", "amount").collect()
        assert sorted(map(tuple, rows)) == newest()
        reached = watermarks(spark, site)
        assert reached == {NEW[-1] + timedelta(days=1)}
    assert changed_rows(site, runs) > 0

    again = run_to_the_end(site, "completed")[: len(OLD)]

    assert side_by_side(again, again)
    with site.airflow.spark() as spark:
        assert state_of(spark, site.lake) == expected
        assert watermarks(spark, site) == reached
    assert changed_rows(site, again) == 0
