"""The status page in a real browser: reached from Airflow's navigation, in both themes, with 500 tables."""

from __future__ import annotations

import time
from configparser import RawConfigParser
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.live.conftest import Site
from tests.ui.rows import crowd, put, put_alert

pytestmark = [pytest.mark.live, pytest.mark.slow]

SHOP = """
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: ${LAKE_ROOT}
retries: {attempts: 1}
circuit_breaker: {failures: 3}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int}, keys: [id]}
    quality: {rules: [{name: positive, expect: amount > 0, severity: warning}]}
  stock:
    source: {files: "${LANDING_ROOT}/stock/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int}, keys: [id]}
    quality: {rules: [{row_count: {min: 2}, of: all}]}
gold:
  takings: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite}
"""


@pytest.fixture
def shop(site: Site) -> Site:
    """A pipeline before its first run."""
    site.land("orders/2026-01-01.csv", "id,amount\n1,10\n2,2O\n3,x\n4,-1\n")
    site.land("stock/2026-01-01.csv", "id\n1\n")
    site.drop("shop.yaml", SHOP)
    api = site.airflow.api
    site.airflow.wait_for(lambda: "ingest_dlq_replay" in api.dags(), timeout=60, what="the DAG with the form")
    return site


def test_the_page_follows_what_happens(shop: Site, page: Any, tmp_path: Path) -> None:
    frame = _from_the_navigation(shop, page)
    assert _cell(frame, "shop.orders", 1) == "never ran"

    _load(shop)

    frame = _reloaded(page)
    assert _cell(frame, "shop.orders", 1) == "loaded"
    assert _cell(frame, "shop.orders", 3) == "4", "rows"
    assert _cell(frame, "shop.orders", 4) == "50%"
    assert _cell(frame, "shop.orders", 5) == "2", "dead letters"
    assert _cell(frame, "shop.orders", 7).split("\n") == ["1 of 1 broken", "positive"]
    assert _cell(frame, "shop.orders", 8) == "2026-01-02 00:00"
    assert _cell(frame, "shop.stock", 1).startswith("held")
    assert _cell(frame, "shop.stock", 6) == "1"
    assert _cell(frame, "shop.gold.takings", 1) == "loaded"
    page.screenshot(path=str(tmp_path / "few_tables.png"))

    _replay(shop)

    frame = _reloaded(page)
    assert _cell(frame, "shop.orders", 5) == "1", "no run of the pipeline has counted them since"
    _row(frame, "shop.orders").get_by_role("link", name="1 dead letters of shop.orders").click()
    page.wait_for_url("**/dags/ingest_dlq_replay")
    page.get_by_role("button", name="Trigger").first.wait_for()

    frame = _from_the_navigation(shop, page)
    _row(frame, "shop.orders").get_by_role("link", name="Quality report of shop.orders").click()
    report = page.frame_locator("iframe")
    report.get_by_role("rowheader", name="positive").wait_for()
    page.screenshot(path=str(tmp_path / "report.png"))


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
    page.get_by_role("link", name="Ingest").first.click()
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


def _load(site: Site) -> None:
    """One day, all of it."""
    api = site.airflow.api
    api.unpause("shop")
    day = datetime(2026, 1, 1, tzinfo=timezone.utc)
    api.backfill("shop", day, day)
    _wait(site, "shop")
    assert [run.state for run in api.runs("shop")] == ["failed"], "stock is held"


def _replay(site: Site) -> None:
    api = site.airflow.api
    api.unpause("ingest_dlq_replay")
    api.trigger("ingest_dlq_replay", conf={"table": "shop.orders", "fix": {"amount": "replace(amount, 'O', '0')"}})
    _wait(site, "ingest_dlq_replay")
    assert [run.state for run in api.runs("ingest_dlq_replay")] == ["success"], site.failures("ingest_dlq_replay")


def _wait(site: Site, dag_id: str) -> None:
    runs = site.airflow.api.runs
    site.airflow.wait_for(
        lambda: bool(runs(dag_id)) and all(run.finished for run in runs(dag_id)), timeout=240, what=dag_id, poll=1
    )


def _database(site: Site) -> str:
    settings = RawConfigParser()
    settings.read(site.airflow.home / "airflow.cfg")
    return settings["database"]["sql_alchemy_conn"]
