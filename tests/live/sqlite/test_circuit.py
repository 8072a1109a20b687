"""On a running Airflow: bad runs open the circuit, stopped runs say why, a hand or a trial closes it again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_ingest.cli.app import app
from airflow_ingest.lakehouse import Lake, TableRecord, run_history
from tests.live.conftest import Site

pytestmark = [pytest.mark.live, pytest.mark.slow]

FRAGILE = """
pipeline: fragile
schedule: null
start_date: 2026-01-01
lake: ${LAKE_ROOT}/fragile
retries: {attempts: 1}
circuit_breaker: {failures: 2, reset_after: 1h}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/fragile/orders.csv", format: csv}
    extract: {mode: full}
    silver: {columns: {id: int}, keys: [id], load: overwrite}
  large:
    source: {files: "${LANDING_ROOT}/fragile/large.csv", format: csv}
    extract: {mode: incremental}
    silver: {transform: "slowly:slowly", columns: {id: int}, keys: [id]}
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
    site = site.within("fragile")
    site.land("large.csv", "id\n1\n")
    site.drop("slowly.py", SLOWLY)
    site.drop("fragile.yaml", FRAGILE)
    site.seen("fragile")

    first, state = _run(site)
    assert state == "failed", "the teardown behind it turns no failed run green"
    assert _told(site, first) == {"orders": "failed", "large": "loaded", "gold.both": "not run"}
    assert _records(site, first)["large"].rows.inserted == 1, "what is slow is waited for"
    second, _ = _run(site)

    third, state = _run(site)
    api = site.airflow.api
    assert {task.task_id: task.state for task in api.tasks("fragile", third) if task.state != "skipped"} == {
        "check_circuit": "success",
        "record_run": "success",
    }
    log = api.log("fragile", third, "check_circuit", 1)
    assert f"This run is stopped: the circuit is open after 2 bad runs in a row, the last of them {second}" in log
    assert "The next trial is at 20" in log
    assert set(_told(site, third).values()) == {"stopped"}

    api.clear("fragile", second)
    site.over("fragile", second)
    assert _circuit(site)["state"] == "open", "a bad run that is cleared and stopped has not become a good one"

    assert _circuit(site, "--reset", "--reason", "have a look")["state"] == "closed"
    _run(site)
    assert _circuit(site)["failures"] == 1
    fifth, state = _run(site)
    assert (state, _circuit(site)["state"]) == ("failed", "open")

    site.land("orders.csv", "id\n1\n")
    site.drop("fragile.yaml", FRAGILE.replace("reset_after: 1h", "reset_after: 1s"))
    site.airflow.wait_for(lambda: _circuit(site)["state"] == "half-open", timeout=60, what="the trial", poll=1)
    trial, state = _run(site)
    told = _told(site, trial)
    assert (state, told["orders"], told["gold.both"]) == ("success", "loaded", "loaded"), site.failures("fragile")
    assert _circuit(site) == {**_circuit(site), "state": "closed", "failures": 0}
    assert fifth in api.log("fragile", trial, "check_circuit", 1)


def _run(site: Site) -> tuple[str, str]:
    """Starts a live run; returns its id and how it ended."""
    run_id = site.airflow.api.trigger("fragile").run_id
    (run,) = site.over("fragile", run_id)
    return run_id, run.state


def _records(site: Site, run_id: str) -> dict[str, TableRecord]:
    with site.airflow.spark() as spark:
        found = run_history(spark, Lake(str(site.lake), "fragile"))
    return {record.table: record for record in found if record.run_id == run_id}


def _told(site: Site, run_id: str) -> dict[str, str]:
    return {table: record.status for table, record in _records(site, run_id).items()}


def _circuit(site: Site, *options: str) -> dict[str, Any]:
    """What `airflow-ingest circuit` prints."""
    env = {"LAKE_ROOT": str(site.lake.parent), "LANDING_ROOT": str(site.landing.parent)}
    done = CliRunner().invoke(app, ["circuit", str(site.dags / "fragile.yaml"), "--json", *options], env=env)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))
