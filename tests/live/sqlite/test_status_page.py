"""The status page in a real browser: reached from Airflow's navigation, in both themes, with 500 tables."""

from __future__ import annotations

import time
from configparser import RawConfigParser
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.live.conftest import Site
from tests.ui.rows import crowd, put, put_alert

pytestmark = [pytest.mark.live, pytest.mark.slow]

STORE = """
pipeline: store
schedule: "@daily"
start_date: 2026-01-01
lake: ${LAKE_ROOT}/store
retries: {attempts: 1}
circuit_breaker: {failures: 3}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/store/orders/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int}, keys: [id]}
    quality: {rules: [{name: positive, expect: amount > 0, severity: warning}]}
  stock:
    source: {files: "${LANDING_ROOT}/store/stock/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int}, keys: [id]}
    quality: {rules: [{row_count: {min: 2}, of: all}]}
gold:
  takings: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite}
  counted: {sql: SELECT count(*) AS n FROM silver.stock, load: overwrite}
"""


def test_the_page_follows_what_happens_and_leads_to_reports_and_forms(site: Site, page: Any, tmp_path: Path) -> None:
    site = site.within("store")
    site.land("orders/2026-01-01.csv", "id,amount\n1,10\n2,2O\n3,x\n4,-1\n")
    site.land("stock/2026-01-01.csv", "id\n1\n")
    site.drop("store.yaml", STORE)
    for dag in ("store", "ingest_dlq_replay", "ingest_held_batches"):
        site.seen(dag)
    frame = _from_the_navigation(site, page)
    assert _cell(frame, "store.orders", 1) == "never ran"
    page.goto("about:blank")

    day, api = datetime(2026, 1, 1, tzinfo=timezone.utc), site.airflow.api
    api.backfill("store", day, day)
    (run,) = site.over("store")
    assert run.state == "failed", "stock is held"

    frame = _from_the_navigation(site, page)
    assert _cell(frame, "store.orders", 1) == "loaded"
    assert _cell(frame, "store.orders", 3) == "4", "rows"
    assert _cell(frame, "store.orders", 4) == "50%"
    assert _cell(frame, "store.orders", 5) == "2", "dead letters"
    assert _cell(frame, "store.orders", 7).split("\n") == ["1 of 1 broken", "positive"]
    assert _cell(frame, "store.orders", 8) == "2026-01-02 00:00"
    assert _cell(frame, "store.stock", 1).startswith("held")
    assert _cell(frame, "store.stock", 6) == "1"
    assert _cell(frame, "store.gold.takings", 1) == "loaded"
    assert _cell(frame, "store.gold.counted", 1).startswith("failed"), "there is no stock to count yet"
    page.screenshot(path=str(tmp_path / "few_tables.png"))
    _row(frame, "store.orders").get_by_role("link", name="Quality report of store.orders").click()
    page.frame_locator("iframe").get_by_role("rowheader", name="positive").wait_for()
    page.screenshot(path=str(tmp_path / "report.png"))
    _look_at_the_report(site, page, run.run_id, tmp_path)

    frame = _from_the_navigation(site, page)
    _row(frame, "store.orders").get_by_role("link", name="2 dead letters of store.orders").click()
    page.wait_for_url("**/dags/ingest_dlq_replay")
    _fill_in(
        site, page, "ingest_dlq_replay", "store.orders", tmp_path, fix="{\"amount\": \"replace(amount, 'O', '0')\"}"
    )
    assert _rows(site, "silver/orders", "id", "amount") == [(1, 10), (2, 20), (4, -1)]
    letters = _rows(site, "dlq/orders", "status", "closed_by")
    assert [status for status, _ in letters] == ["open", "replayed"]
    assert str(letters[1][1]).endswith(" by admin")
    assert _rows(site, "gold/takings", "amount") == [(29,)]
    frame = _from_the_navigation(site, page)
    assert _cell(frame, "store.orders", 5) == "1", "no run of the pipeline has counted them since"

    page.goto(f"{site.airflow.url}/dags/ingest_held_batches")
    _fill_in(site, page, "ingest_held_batches", "store.stock", tmp_path, reason="a quiet day")
    assert _rows(site, "silver/stock", "id") == [(1,)]
    assert _rows(site, "gold/counted", "n") == [(1,)]
    released = _rows(site, "ops/batches", "state", "reason", "run_id")[-1]
    assert released[:2] == ("released", "a quiet day")
    assert str(released[2]).endswith(" by admin")


def test_five_hundred_tables_in_both_themes_and_by_keyboard(site: Site, page: Any, tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    with Session(create_engine(_database(site))) as session:
        put(session, crowd(25, 20, 30, now))
        put_alert(session, "pipeline_03", "sla", 7200, [("run_0", now, True)])
        session.commit()
    page.set_viewport_size({"width": 1440, "height": 900})

    frame = _from_the_navigation(site, page)
    frame.locator("#tables tbody tr").nth(499).wait_for()
    shown = {}
    for theme in ("light", "dark"):
        page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
        frame = _reloaded(page)
        shown[theme] = frame.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        assert frame.locator("html").get_attribute("data-theme") == theme
        page.screenshot(path=str(tmp_path / f"status_{theme}.png"))
        wide = frame.locator("html").evaluate("html => [html.scrollWidth, html.clientWidth]")
        assert wide[0] == wide[1], "nothing has to be scrolled sideways"
    assert shown["light"] != shown["dark"]

    _by_keyboard(page, frame)
    page.screenshot(path=str(tmp_path / "keyboard.png"))
    frame.get_by_role("button", name="Pipelines").click()
    page.screenshot(path=str(tmp_path / "pipelines.png"))
    frame.get_by_role("group", name="What to list").get_by_role("button", name="Tables").click()
    frame.get_by_role("link", name="Quality report of ").first.click()
    page.frame_locator("iframe").get_by_role("heading", name="quality_gate").wait_for()
    assert page.frame_locator("iframe").locator("html").get_attribute("data-theme") == "dark"
    page.screenshot(path=str(tmp_path / "report_dark.png"))

    took = []
    for _ in range(5):
        began = time.perf_counter()
        assert page.request.get(f"{site.airflow.url}/ingest/status").ok
        took.append(time.perf_counter() - began)
    (tmp_path / "seconds.txt").write_text(" ".join(f"{seconds:.2f}" for seconds in took))
    assert min(took) < 3


def _by_keyboard(page: Any, frame: Any) -> None:
    """Filters, sorts and follows a link without a mouse, and sees where the focus is."""
    frame.locator("h1").click()
    page.keyboard.press("/")
    page.keyboard.type("pipeline_07 orders")
    told = frame.get_by_role("status").inner_text()
    assert told.startswith("2 of 50"), told
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    focused = frame.locator(":focus")
    assert focused.inner_text().startswith("Failed")
    assert focused.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
    page.keyboard.press("Space")
    assert focused.get_attribute("aria-pressed") == "true"
    assert set(frame.locator("#tables tbody tr:visible td:nth-child(2) .state").all_inner_texts()) == {"failed"}
    page.keyboard.press("Space")
    rows = frame.locator("#tables thead th", has_text="Rows")
    rows.get_by_role("button").focus()
    page.keyboard.press("Enter")
    assert rows.get_attribute("aria-sort") == "descending"
    values = frame.locator("#tables tbody tr td:nth-child(4)").evaluate_all("all => all.map(one => one.dataset.sort)")
    numbers = [float(value) for value in values if value]
    assert numbers == sorted(numbers, reverse=True)
    assert len(numbers) >= 500


def _from_the_navigation(site: Site, page: Any) -> Any:
    page.goto(site.airflow.url)
    page.get_by_role("link", name="Ingest", exact=True).click()
    return _framed(page)


def _reloaded(page: Any) -> Any:
    page.reload()
    return _framed(page)


def _framed(page: Any) -> Any:
    frame = page.frame_locator('iframe[title="Ingest"]')
    frame.get_by_role("heading", name="Ingest status").wait_for()
    return frame


def _row(frame: Any, name: str) -> Any:
    return frame.locator(f'#tables tr[data-text^="{name} "]')


def _cell(frame: Any, name: str, column: int) -> str:
    return str(_row(frame, name).locator("th, td").nth(column).inner_text()).strip()


def _look_at_the_report(site: Site, page: Any, run_id: str, shots: Path) -> None:
    """Follows the link of a gate's task to the history of its rules, which nobody else gets to see."""
    task = f"store/dagRuns/{quote(run_id)}/taskInstances/stock.quality_gate"
    links = page.request.get(f"{site.airflow.url}/api/v2/dags/{task}/links").json()
    assert links["extra_links"] == {"Quality report": "/ingest/quality/store/stock.quality_gate"}
    page.goto(f"{site.airflow.url}/dags/store/runs/{quote(run_id)}/tasks/stock.quality_gate/details")
    page.get_by_text("Quality report").first.wait_for()
    page.screenshot(path=str(shots / "gate.png"))
    report = page.context.new_page()
    report.goto(f"{site.airflow.url}{links['extra_links']['Quality report']}")
    assert report.locator("tbody tr th").first.inner_text() == "row_count"
    assert report.locator("svg circle.bad").count() == 1
    report.screenshot(path=str(shots / "quality_report.png"))
    for stranger in ({}, {"Authorization": "Bearer nonsense"}):
        assert httpx.get(report.url, headers=stranger).status_code in (401, 403)
    report.goto(report.url.replace("quality_gate", "merge_silver"))
    assert "is no quality gate" in report.content()
    report.close()


def _fill_in(site: Site, page: Any, dag_id: str, table: str, shots: Path, **values: str) -> None:
    """Fills in the form of the DAG that is open, and waits for the run that it starts."""
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("Table").first.wait_for()
    page.screenshot(path=str(shots / f"{dag_id}.png"))
    choice = page.locator("#element_table input[role=combobox]")
    choice.fill(table)
    choice.press("Enter")
    if "fix" in values:
        editor = page.locator(".cm-content, .monaco-editor").first
        editor.click()
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(values["fix"])
        page.keyboard.press("Control+Shift+End")  # the brackets that the editor has closed by itself
        page.keyboard.press("Delete")
    if "reason" in values:
        page.locator("#element_reason").fill(values["reason"])
    page.screenshot(path=str(shots / f"{dag_id}_filled.png"))
    page.get_by_role("button", name="Trigger").last.click()
    site.airflow.wait_for(lambda: bool(site.airflow.api.runs(dag_id)), timeout=60, what=f"the run of {dag_id}")
    page.goto("about:blank")
    (run,) = site.over(dag_id)
    assert run.state == "success", site.failures(dag_id)


def _rows(site: Site, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """Columns of a table of the lake, in order."""
    with site.airflow.spark() as spark:
        found = spark.read.format("delta").load(f"{site.lake}/{table}").select(*columns).collect()
    return sorted((tuple(row) for row in found), key=repr)


def _database(site: Site) -> str:
    settings = RawConfigParser()
    settings.read(site.airflow.home / "airflow.cfg")
    return settings["database"]["sql_alchemy_conn"]
