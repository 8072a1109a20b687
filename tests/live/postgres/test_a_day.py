"""A day's work on an Airflow with Postgres and a bundle of pipelines: drop, trigger, backfill, follow, wait."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from airflow_ingest.cli.app import app
from airflow_ingest.testing import DagRun
from tests.live.conftest import PATIENCE, Site, logged_in

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.live, pytest.mark.slow]

SHOP = """
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
max_active_runs: 4
lake: ${LAKE_ROOT}
retries: {attempts: 1}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, day: date, amount: int}, keys: [id]}
    quality: {rules: [{name: positive, expect: amount > 0}]}
  prices:
    source: {files: "${LANDING_ROOT}/prices/*.csv", format: csv}
    extract: {mode: incremental}
    silver: {columns: {id: int, price: int}, keys: [id]}
gold:
  takings: {sql: "SELECT day, sum(amount) AS amount FROM silver.orders GROUP BY day", load: overwrite}
"""
FOLLOWER = """
pipeline: follower
schedule: {assets: {any: [shop.silver.orders, {all: [nobody.silver.a, nobody.silver.b]}]}}
lake: ${LAKE_ROOT}
retries: {attempts: 1}
tables:
  copied:
    source: {delta: {table: silver.orders}}
    extract: {mode: interval, cursor: day}
    silver: {keys: [id]}
  notes:
    source: {files: "${LANDING_ROOT}/notes/{{ ds }}.csv", format: csv}
    silver: {columns: {day: date, text: string}, keys: [day]}
"""
WAITING = """
pipeline: waiting
schedule: "@daily"
start_date: 2026-01-01
max_active_runs: 2
lake: ${LAKE_ROOT}
retries: {attempts: 1}
defaults:
  source: {files: "${LANDING_ROOT}/waiting.csv", format: csv}
  extract: {mode: full}
tables:
  files: {wait: {timeout: 15m, poll: 1s, mode: deferrable, files: "${LANDING_ROOT}/drop/*.csv", marker: _SUCCESS}}
  sql: {wait: {timeout: 15m, poll: 1s, mode: deferrable, sql: {conn_id: desk, query: "SELECT ready FROM desk"}}}
  pipeline: {wait: {timeout: 15m, poll: 1s, mode: deferrable, pipeline: shop}}
  delta: {wait: {timeout: 15m, poll: 1s, mode: deferrable, delta: "${LAKE_ROOT}/silver/orders"}}
  asset: {wait: {timeout: 15m, poll: 20s, asset: shop.silver.orders}}
  skipped: {wait: {timeout: 3s, poll: 1s, mode: deferrable, files: "${LANDING_ROOT}/never", on_timeout: skip}}
  gone_on: {wait: {timeout: 3s, poll: 20s, files: "${LANDING_ROOT}/never", on_timeout: go_on}}
"""
DAYS = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in range(1, 4)]
TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY = TODAY - timedelta(days=1)
WHO_AND_WHEN = ("_ingested_at", "_ingested_by", "_run_id", "_bronze_ingestion_timestamp", "_batch_order", "_sequence")


def test_a_dropped_file_shows_and_a_bad_one_says_where(postgres_site: Site) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    site.drop("shop.yaml", SHOP)
    expected = {"shop", "ingest_maintenance", "ingest_dlq_replay", "ingest_held_batches"}
    _wait(site, lambda: expected <= set(api.dags()), "the DAG, and those that serve all", 120)

    site.drop("bad.yaml", SHOP.replace("pipeline: shop", "pipeline: bad").replace("silver:", "silvr:", 1))
    (site.dags / "half.yaml").write_text(SHOP.replace("pipeline: shop", "pipeline: half")[:400])
    _wait(site, lambda: len(api.import_errors()) == 2, "the two import errors", 120)

    errors = {error.file: error.message for error in api.import_errors()}
    assert set(errors) == {"bad.yaml.py", "half.yaml.py"}
    assert errors["bad.yaml.py"].startswith(f'{site.dags / "bad.yaml"}:11:5: tables.orders.silvr: unknown key "silvr"')
    (site.dags / "half.yaml").write_text(SHOP.replace("pipeline: shop", "pipeline: half"))
    (site.dags / "bad.yaml").unlink()
    _wait(site, lambda: api.import_errors() == [] and "half" in api.dags(), "the other half, and no error", 120)
    (site.dags / "half.yaml").unlink()
    _wait(site, lambda: "half" not in api.dags(), "the DAG to go", 120)
    assert "shop" in api.dags()


def test_backfills_by_rest_and_from_the_command_line(postgres_site: Site) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    for day in (*DAYS[:2], YESTERDAY):  # the schedule's own run takes the last
        _land(site, day, amount=10)
    site.land("prices/one.csv", "id,price\n1,5\n2,6\n")
    api.unpause("shop")

    api.backfill("shop", DAYS[0], DAYS[-1], max_active_runs=3)
    runs = _all_over(site, len(DAYS))
    assert [run.state for run in runs] == ["success", "success", "failed"], "one has no file"

    _land(site, DAYS[2], amount=20)
    _backfilled_from_the_shell(site, "failed")
    repeated = _repeated(site, runs)
    assert [run.logical_date for run in repeated] == [DAYS[2]]

    _land(site, DAYS[1], amount=99, ids=(2, 4))
    api.close_backfills("shop")
    before = _all_over(site, len(DAYS))
    api.backfill("shop", DAYS[0], DAYS[-1], max_active_runs=2, reprocess="completed")
    runs = _repeated(site, before, len(DAYS))
    assert {run.state for run in runs} == {"success"}
    second = runs[1].run_id
    loaded = api.xcom("shop", second, "orders.ingest_bronze")
    assert (loaded["rows"]["read"], loaded["replaced"]) == (2, 3)
    assert "in place of 3 rows" in api.log("shop", second, "orders.ingest_bronze", 2)
    rows = api.xcom("shop", second, "orders.merge_silver")["rows"]
    assert (rows["inserted"], rows["updated"], rows["retracted"]) == (1, 1, 1), rows


def test_a_run_without_a_date_takes_the_newest_complete_interval(postgres_site: Site) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    _land(site, YESTERDAY, amount=7)

    run = _over(site, "shop", api.trigger("shop"))

    assert run.state == "success", site.failures("shop")
    interval = api.xcom("shop", run.run_id, "orders.merge_silver")["interval"]
    assert interval == {
        "start": YESTERDAY.isoformat(),
        "end": TODAY.isoformat(),
        "origin": "the newest complete one of the schedule",
    }
    log = api.log("shop", run.run_id, "orders.ingest_bronze", 1)
    assert f"interval: {YESTERDAY:%Y-%m-%d} 00:00 to {TODAY:%Y-%m-%d} 00:00 (the newest complete" in log


def test_a_full_refresh_reads_what_was_read_before(postgres_site: Site) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    site.land("prices/two.csv", "id,price\n3,7\n")

    run = _over(site, "shop", api.trigger("shop", conf={"full_refresh": True, "tables": ["prices"]}))

    assert run.state == "success", site.failures("shop")
    loaded = api.xcom("shop", run.run_id, "prices.ingest_bronze")
    assert (loaded["rows"]["read"], len(loaded["batch"]["files"])) == (3, 2)
    rows = api.xcom("shop", run.run_id, "prices.merge_silver")["rows"]
    assert (rows["inserted"], rows["deleted"]) == (1, 0), rows
    states = {task.task_id: task.state for task in api.tasks("shop", run.run_id)}
    assert states["orders.ingest_bronze"] == states["orders.merge_silver"] == "skipped"
    assert states["record_run"] == "success"


def test_the_form_of_the_ui_loads_an_interval_of_some_tables(postgres_site: Site, page: Any, tmp_path: Path) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    before = {run.run_id for run in api.runs("shop")}
    _land(site, DAYS[2], amount=55)
    page.goto(f"{site.airflow.url}/dags/shop")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("Interval from").first.wait_for()
    _pick(page, 1, "2026/01/03")
    _pick(page, 2, "2026/01/04")
    tables = page.get_by_role("combobox", name="Select one or multiple values")
    tables.fill("orders")
    tables.press("Enter")
    page.screenshot(path=str(tmp_path / "form.png"))
    page.get_by_role("button", name="Trigger").last.click()
    _wait(site, lambda: any(run.run_id not in before for run in api.runs("shop")), "the run of the form", 120)

    (run,) = [run for run in api.runs("shop") if run.run_id not in before]
    run = _over(site, "shop", run)
    assert run.state == "success", site.failures("shop")
    result = api.xcom("shop", run.run_id, "orders.merge_silver")
    assert result["interval"]["origin"] == "asked for in the form"
    assert result["batch"]["interval"] == {"start": "2026-01-03T00:00:00Z", "end": "2026-01-04T00:00:00Z"}
    assert (result["rows"]["updated"], result["rows"]["superseded"]) == (2, 1), "a later day has the shared key"
    states = {task.task_id: task.state for task in api.tasks("shop", run.run_id)}
    assert states["prices.ingest_bronze"] == "skipped"


def test_a_backfill_from_the_form_of_the_ui_ends_as_a_clean_pass(
    postgres_site: Site, page: Any, tmp_path: Path
) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    _land(site, DAYS[0], amount=77)
    api.close_backfills("shop")
    before = [run for run in api.runs("shop") if run.run_type == "backfill"]
    page.goto(f"{site.airflow.url}/dags/shop")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("Backfill", exact=True).first.click()
    _pick(page, 0, "2026/01/01")
    _pick(page, 1, "2026/01/02")
    page.get_by_text("All Runs").first.click()
    page.screenshot(path=str(tmp_path / "backfill.png"))
    page.locator("button", has_text="Run Backfill").last.click()

    again = _repeated(site, before, 2)
    assert [run.logical_date for run in again] == DAYS[:2]
    result = api.xcom("shop", again[0].run_id, "orders.ingest_bronze")
    assert (result["interval"]["origin"], result["replaced"]) == ("its own", 3)
    with site.airflow.spark() as spark:
        assert _state(spark, site.lake) == _state(spark, _clean_pass(site, tmp_path)), "after all runs so far"


def test_a_pipeline_that_follows_takes_the_batches_of_the_other(postgres_site: Site) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    for day in (*DAYS, YESTERDAY):
        site.land(f"notes/{day:%Y-%m-%d}.csv", f"day,text\n{day:%Y-%m-%d},hello\n")
    site.drop("follower.yaml", FOLLOWER)
    _wait(site, lambda: "follower" in api.dags(), "the DAG", 120)
    for dag in ("shop", "follower"):
        api.unpause(dag)
    for day in (*DAYS[1:3], YESTERDAY):
        _land(site, day, amount=88)
    site.land("prices/one.csv", "id,price\n1,5\n2,6\n")
    api.close_backfills("shop")
    api.backfill("shop", DAYS[1], DAYS[2], reprocess="completed")

    def both() -> bool:
        runs = api.runs("follower")
        return all(run.finished for run in runs) and {"2026-01-02", "2026-01-03"} <= _brought(site)

    _wait(site, both, "the runs that follow", PATIENCE)
    assert {run.run_type for run in api.runs("follower")} == {"asset_triggered"}
    assert {run.state for run in api.runs("follower")} == {"success"}, site.failures("follower")
    assert "2026-01-01" not in _brought(site), "the backfill did not load it"
    (one, *_) = api.runs("follower")
    assert "of the batches of shop.silver.orders" in api.log("follower", one.run_id, "copied.ingest_bronze", 1)


def test_waiting_for_all_that_can_be_waited_for(postgres_site: Site) -> None:
    site, api, day = postgres_site, postgres_site.airflow.api, datetime(2026, 1, 20, tzinfo=timezone.utc)
    site.land("waiting.csv", "id\n1\n")
    site.land("drop/a.csv", "id\n1\n")
    with sqlite3.connect(site.lake.parent / "desk.db") as desk:
        desk.execute("CREATE TABLE desk (ready INT)")
        desk.execute("INSERT INTO desk VALUES (0)")
    _land(site, YESTERDAY, amount=1)
    site.land("prices/one.csv", "id,price\n1,5\n2,6\n")
    site.drop("shop.yaml", SHOP)
    site.drop("waiting.yaml", WAITING)
    _wait(site, lambda: {"shop", "waiting"} <= set(api.dags()), "the DAGs", 120)
    api.unpause("shop")
    api.unpause("waiting")
    run = api.trigger("waiting", logical_date=day + timedelta(days=1))

    def waiting() -> dict[str, str | None]:
        states = {task.task_id: task.state for task in api.tasks("waiting", run.run_id)}
        return {task.split(".")[0]: state for task, state in states.items() if task.endswith("wait_for_source")}

    at_rest = {"files": "deferred", "sql": "deferred", "pipeline": "deferred", "skipped": "skipped"}
    at_rest |= {"delta": "success", "gone_on": "success"}  # a run for a date waits for a table to be there

    def patient() -> bool:
        found = waiting()
        return all(found[name] == state for name, state in at_rest.items()) and found["asset"] != "success"

    _wait(site, patient, "the sensors to wait", PATIENCE)
    assert "on_timeout: go_on" in api.log("waiting", run.run_id, "gone_on.wait_for_source", 1)

    site.land("drop/_SUCCESS", "")
    with sqlite3.connect(site.lake.parent / "desk.db") as desk:
        desk.execute("UPDATE desk SET ready = 1")
    _land(site, day, amount=1)
    api.close_backfills("shop")
    api.backfill("shop", day, day)
    assert _over(site, "waiting", run).state == "success", site.failures("waiting")
    assert waiting() == {**dict.fromkeys((*at_rest, "asset"), "success"), "skipped": "skipped"}


def test_the_status_page_shows_what_the_day_came_to(postgres_site: Site, page: Any) -> None:
    page.goto(f"{postgres_site.airflow.url}/dags")
    page.get_by_role("link", name="Ingest", exact=True).click()
    frame = page.frame_locator('iframe[title="Ingest"]')
    orders = frame.locator('#tables tr[data-text^="shop.orders "]')
    assert orders.locator("th, td").nth(1).inner_text().strip() == "loaded"
    assert orders.locator("th, td").nth(3).inner_text().strip() == "3", "rows"
    assert frame.locator('#tables tr[data-text^="follower.copied "]').count() == 1
    orders.get_by_role("link", name="Quality report of shop.orders").click()
    page.frame_locator("iframe").get_by_role("heading", name="quality_gate").wait_for()


def test_all_tables_are_looked_after_and_none_changes(postgres_site: Site) -> None:
    site, api = postgres_site, postgres_site.airflow.api
    with site.airflow.spark() as spark:
        before = _state(spark, site.lake)
    api.unpause("ingest_maintenance")

    run = _over(site, "ingest_maintenance", api.trigger("ingest_maintenance"))

    assert run.state == "success", site.failures("ingest_maintenance")
    tasks = {task.task_id: task.state for task in api.tasks("ingest_maintenance", run.run_id)}
    assert {"shop", "follower", "waiting"} <= set(tasks)
    assert set(tasks.values()) == {"success"}
    results = [found for task in tasks for found in api.xcom("ingest_maintenance", run.run_id, task)]
    seen = {found["table"] for found in results}
    assert {"bronze.orders", "silver.orders", "gold.takings", "silver.copied", "ops.runs"} <= seen
    assert all(found["files_after"] <= found["files_before"] for found in results if found["table"] == "ops.runs")
    with site.airflow.spark() as spark:
        assert _state(spark, site.lake) == before


@pytest.fixture
def page(postgres_site: Site) -> Iterator[Any]:
    """A browser in which somebody has logged in."""
    with logged_in(postgres_site.airflow, timezone_id="UTC") as page:
        yield page


def _pick(page: Any, place: int, day: str) -> None:
    """Chooses a day's midnight in one of the dialog's fields for dates."""
    page.get_by_test_id("datetime-input").nth(place).click()
    fields = page.locator("[data-scope=popover][data-part=content][data-state=open] input")
    fields.nth(0).fill(day)
    fields.nth(1).fill("00:00")
    fields.nth(1).press("Enter")
    page.get_by_role("heading", name="shop").last.click()


def _wait(site: Site, done: Callable[[], bool], what: str, timeout: float) -> None:
    site.airflow.wait_for(done, timeout=timeout, what=what, poll=1)


def _land(site: Site, day: datetime, *, amount: int, ids: tuple[int, ...] = (1, 2, 3)) -> None:
    """A day's orders: keys of its own, and one that all days share."""
    rows = [f"{day.day * 10 + id_ if id_ > 1 else 1},{day:%Y-%m-%d},{amount}" for id_ in ids]
    site.land(f"orders/{day:%Y-%m-%d}.csv", "\n".join(["id,day,amount", *rows, ""]))


def _over(site: Site, dag_id: str, run: DagRun) -> DagRun:
    def found() -> DagRun:
        return next(other for other in site.airflow.api.runs(dag_id) if other.run_id == run.run_id)

    _wait(site, lambda: found().finished, f"{run.run_id} of {dag_id}", PATIENCE)
    return found()


def _all_over(site: Site, count: int) -> list[DagRun]:
    def runs() -> list[DagRun]:
        return [run for run in site.airflow.api.runs("shop") if run.run_type == "backfill"]

    _wait(site, lambda: len(runs()) == count and all(run.finished for run in runs()), "the backfill", PATIENCE)
    return runs()


def _repeated(site: Site, before: list[DagRun], count: int = 1) -> list[DagRun]:
    """The backfill's runs that began anew since `before`, once they are over."""
    since = {run.run_id: run.started for run in before}

    def anew() -> list[DagRun]:
        return [
            run for run in site.airflow.api.runs("shop") if run.run_id in since and run.started != since[run.run_id]
        ]

    _wait(site, lambda: len(anew()) == count and all(run.finished for run in anew()), "the repeated runs", PATIENCE)
    return anew()


def _backfilled_from_the_shell(site: Site, reprocess: str) -> None:
    site.airflow.api.close_backfills("shop")
    site.backfill_from_the_shell("shop", DAYS[0], DAYS[-1], **{"reprocess-behavior": reprocess})


def _clean_pass(site: Site, folder: Path) -> Path:
    """Another lake, which took the same days in order, one at a time, in this process."""
    file, lake = folder / "shop.yaml", folder / "clean"
    file.write_text(SHOP)
    env = {"LAKE_ROOT": str(lake), "LANDING_ROOT": str(site.landing)}
    days = sorted(path.stem for path in (site.landing / "orders").iterdir())
    for day in days:
        done = CliRunner().invoke(app, ["run", str(file), "--live", "--interval", day], env=env)
        assert done.exit_code == 0, done.output
    return lake


def _state(spark: SparkSession, lake: Path) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of all tables, without the columns that say when and by whom."""
    names = ("bronze/orders", "silver/orders", "silver/prices", "gold/takings")
    tables = {name: spark.read.format("delta").load(f"{lake}/{name}") for name in names}
    return {
        name: sorted(map(tuple, table.drop(*WHO_AND_WHEN, "_batch_id").collect()), key=repr)
        for name, table in tables.items()
    }


def _brought(site: Site) -> set[str]:
    """The days that the follower has loaded."""
    if not (site.lake / "silver" / "notes").exists():
        return set()
    with site.airflow.spark() as spark:
        notes = spark.read.format("delta").load(f"{site.lake}/silver/notes").select("day").collect()
        copied = spark.read.format("delta").load(f"{site.lake}/silver/copied").select("day").distinct().collect()
    return {str(row.day) for row in notes} & {str(row.day) for row in copied}
