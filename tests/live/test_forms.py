"""The forms of the shared DAGs, filled in by a real browser."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from airflow_ingest.lakehouse import Lake
from tests.live.conftest import Site

pytestmark = [pytest.mark.live, pytest.mark.slow]

SHOP = """
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: ${LAKE_ROOT}
retries: {attempts: 1}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int}, keys: [id]}
    quality: {rules: [{row_count: {min: 2}, of: all}]}
gold:
  takings: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite}
"""


def test_a_replay_and_a_release_from_the_ui(site: Site, page: Any, tmp_path: Path) -> None:
    site.land("orders/2026-01-01.csv", "id,amount\n1,10\n2,2O\n3,x\n")
    site.land("orders/2026-01-02.csv", "id,amount\n4,40\n")
    site.drop("shop.yaml", SHOP)
    api = site.airflow.api
    site.airflow.wait_for(lambda: "ingest_dlq_replay" in api.dags(), timeout=60, what="the DAG with the form")
    first, last = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2))
    api.backfill("shop", first, last)
    for dag in ("shop", "ingest_dlq_replay", "ingest_held_batches"):
        api.unpause(dag)
    site.airflow.wait_for(
        lambda: len(api.runs("shop")) == 2 and all(run.finished for run in api.runs("shop")),
        timeout=240,
        what="the backfill",
        poll=1,
    )

    assert sorted(run.state for run in api.runs("shop")) == ["failed", "success"], "the second day is held"

    _look_at_the_report(site, page, api.runs("shop")[0].run_id, tmp_path)
    _fill_in(site, page, "ingest_dlq_replay", tmp_path, fix="{\"amount\": \"replace(amount, 'O', '0')\"}")
    assert _silver(site) == [(1, 10), (2, 20)]
    _fill_in(site, page, "ingest_held_batches", tmp_path, reason="a quiet day")

    assert _silver(site) == [(1, 10), (2, 20), (4, 40)]
    lake = Lake(str(site.lake), "shop")
    with site.airflow.spark() as spark:
        letters = spark.read.format("delta").load(lake.dlq("orders")).select("status", "closed_by").collect()
        batches = spark.read.format("delta").load(lake.ops("batches")).where("state = 'released'").collect()
        gold = spark.read.format("delta").load(lake.gold("takings")).select("amount").collect()
    assert sorted(row.status for row in letters) == ["open", "replayed"]
    assert [row.closed_by.endswith(" by admin") for row in letters if row.closed_by] == [True]
    assert [(row.reason, row.run_id.endswith(" by admin")) for row in batches] == [("a quiet day", True)]
    assert [row.amount for row in gold] == [70]


def _look_at_the_report(site: Site, page: Any, run_id: str, shots: Path) -> None:
    """Follows the link of a gate's task to the history of its rules, which nobody else gets to see."""
    task = f"shop/dagRuns/{quote(run_id)}/taskInstances/orders.quality_gate"
    links = page.request.get(f"{site.airflow.url}/api/v2/dags/{task}/links").json()
    assert links["extra_links"] == {"Quality report": "/ingest/quality/shop/orders.quality_gate"}
    page.goto(f"{site.airflow.url}/dags/shop/runs/{quote(run_id)}/tasks/orders.quality_gate/details")
    page.get_by_text("Quality report").first.wait_for()
    page.screenshot(path=str(shots / "gate.png"))
    report = page.context.new_page()
    report.goto(f"{site.airflow.url}{links['extra_links']['Quality report']}")
    assert report.locator("tbody tr th").first.inner_text() == "row_count"
    assert report.locator("svg circle").count() == 2
    report.screenshot(path=str(shots / "quality_report.png"))
    for stranger in ({}, {"Authorization": "Bearer nonsense"}):
        assert httpx.get(report.url, headers=stranger).status_code in (401, 403)
    report.goto(report.url.replace("quality_gate", "merge_silver"))
    assert "is no quality gate" in report.content()
    report.close()


def _fill_in(site: Site, page: Any, dag_id: str, shots: Path, **values: str) -> None:
    """Opens a DAG's form, fills it in, and waits for the run that it starts."""
    page.goto(f"{site.airflow.url}/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").first.click()
    page.get_by_text("Table").first.wait_for()
    page.screenshot(path=str(shots / f"{dag_id}.png"))
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
    api = site.airflow.api
    site.airflow.wait_for(
        lambda: any(run.finished for run in api.runs(dag_id)), timeout=180, what=f"the run of {dag_id}", poll=1
    )
    (run,) = api.runs(dag_id)
    assert run.state == "success", site.failures(dag_id)


def _silver(site: Site) -> list[tuple[int, int]]:
    with site.airflow.spark() as spark:
        rows = spark.read.format("delta").load(Lake(str(site.lake), "shop").silver("orders"))
        return sorted((row.id, row.amount) for row in rows.collect())
