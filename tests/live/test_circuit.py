"""On a running Airflow: bad runs open the circuit, stopped runs say why, a hand or a trial closes it again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.lakehouse import Lake, TableRecord, run_history
from tests.live.conftest import Site

pytestmark = [pytest.mark.live, pytest.mark.slow]

SHOP = """
pipeline: shop
schedule: null
start_date: 2026-01-01
lake: ${LAKE_ROOT}
retries: {attempts: 1}
circuit_breaker: {failures: 2, reset_after: 60s}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders.csv", format: csv}
    extract: {mode: full}
    silver: {columns: {id: int}, keys: [id], load: overwrite}
  large:
    source: {files: "${LANDING_ROOT}/large.csv", format: csv}
    extract: {mode: full}
    silver: {transform: "slowly:slowly", columns: {id: int}, keys: [id], load: overwrite}
gold:
  both:
    sql: SELECT count(*) AS n FROM silver.orders JOIN silver.large USING (id)
    load: overwrite
"""
SLOWLY = """
import time


def slowly(df):
    time.sleep(8)
    return df
"""


def test_a_circuit_opens_stops_runs_and_is_closed_by_hand_or_by_a_trial(site: Site) -> None:
    site.land("large.csv", "id\n1\n")
    site.drop("slowly.py", SLOWLY)
    site.drop("shop.yaml", SHOP)
    site.airflow.wait_for(lambda: "shop" in site.airflow.api.dags(), timeout=60, what="the DAG")
    site.airflow.api.unpause("shop")

    first, state = _run(site)
    assert state == "failed", "the teardown behind it turns no failed run green"
    assert _told(site, first) == {"orders": "failed", "large": "loaded", "gold.both": "not run"}
    assert _records(site, first)["large"].rows.inserted == 1, "what is slow is waited for"
    second, _ = _run(site)

    third, state = _run(site)
    api = site.airflow.api
    assert {task.task_id: task.state for task in api.tasks("shop", third) if task.state != "skipped"} == {
        "check_circuit": "success",
        "record_run": "success",
    }
    log = api.log("shop", third, "check_circuit", 1)
    assert f"This run is stopped: the circuit is open after 2 bad runs in a row, the last of them {second}" in log
    assert "The next trial is at 20" in log
    assert set(_told(site, third).values()) == {"stopped"}

    api.clear("shop", second)
    site.airflow.wait_for(lambda: _finished(site, second), timeout=120, what="the cleared run", poll=1)
    assert _circuit(site)["state"] == "open", "a bad run that is cleared and stopped has not become a good one"

    assert _circuit(site, "--reset", "--reason", "have a look")["state"] == "closed"
    _run(site)
    assert _circuit(site)["failures"] == 1
    fifth, state = _run(site)
    assert (state, _circuit(site)["state"]) == ("failed", "open")

    site.land("orders.csv", "id\n1\n")
    site.airflow.wait_for(lambda: _circuit(site)["state"] == "half-open", timeout=120, what="the trial", poll=5)
    trial, state = _run(site)
    assert (state, set(_told(site, trial).values())) == ("success", {"loaded"}), site.failures("shop")
    assert _circuit(site) == {**_circuit(site), "state": "closed", "failures": 0}
    assert fifth in api.log("shop", trial, "check_circuit", 1)


def _run(site: Site) -> tuple[str, str]:
    """Starts a live run; returns its id and how it ended."""
    run_id = site.airflow.api.trigger("shop").run_id
    site.airflow.wait_for(lambda: _finished(site, run_id), timeout=180, what=run_id, poll=1)
    return run_id, next(run.state for run in site.airflow.api.runs("shop") if run.run_id == run_id)


def _finished(site: Site, run_id: str) -> bool:
    return any(run.finished for run in site.airflow.api.runs("shop") if run.run_id == run_id)


def _records(site: Site, run_id: str) -> dict[str, TableRecord]:
    with site.airflow.spark() as spark:
        found = run_history(spark, Lake(str(site.lake), "shop"))
    return {record.table: record for record in found if record.run_id == run_id}


def _told(site: Site, run_id: str) -> dict[str, str]:
    return {table: record.status for table, record in _records(site, run_id).items()}


def _circuit(site: Site, *options: str) -> dict[str, Any]:
    """What `airflow-ingest circuit` prints, in a process of its own."""
    command = [str(Path(sys.executable).with_name("airflow-ingest")), "circuit", str(site.dags / "shop.yaml"), "--json"]
    done = subprocess.run(
        [*command, *options],
        env=site.airflow.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))
