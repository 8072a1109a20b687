"""`run` on real Spark: what a user sees of a good day, a bad day and a key pressed too early."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from airflow_ingest.cli.app import app
from airflow_ingest.runtime import ServerStatus

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark_server", "shop")]

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
defaults: {quality: {max_reject_rate: 50%}}
tables:
  orders:
    source: {files: "landing/orders/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int, amount: int}, keys: [id], load: merge}
    quality: {rules: [{name: positive, expect: "amount > 0"}]}
  events:
    source: {files: "landing/events/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id], load: merge}
  refunds:
    source: {files: "landing/refunds/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id], load: merge}
gold:
  revenue: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite}
  per_event: {sql: SELECT count(*) AS n FROM silver.events, load: overwrite}
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders on two days, one row of which is bad; refunds of which most are; and no events at all."""
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(PIPELINE)
    _land("orders/2024-01-01", "id,amount\n1,10\n2,20\n3,-1\n")
    _land("orders/2024-01-02", "id,amount\n2,25\n4,40\n")
    _land("refunds/2024-01-01", "id\nx\ny\n3\n")


def _land(name: str, text: str) -> None:
    path = Path(f"landing/{name}.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _run(*arguments: str) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    result = CliRunner().invoke(app, ["run", "shop.yaml", "--json", *arguments], prog_name="airflow-ingest")
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, {(run["day"], run["table"]): run for run in json.loads(result.stdout)}


def test_a_day_with_trouble_loads_all_that_does_not_depend_on_it() -> None:
    code, runs = _run("--interval", "2024-01-01")
    assert code == 1
    by_table = {table: run for (_, table), run in runs.items()}
    assert {table: run["state"] for table, run in by_table.items()} == {
        "orders": "loaded",
        "events": "failed",
        "refunds": "held",
        "gold.revenue": "loaded",
        "gold.per_event": "not run",
    }
    orders = by_table["orders"]
    assert (orders["read"], orders["merged"], orders["rejected"]) == (3, 2, 1)
    assert list(orders["reasons"].values()) == [1]
    assert "landing/events/2024-01-01.csv" in by_table["events"]["message"]
    assert by_table["gold.per_event"]["message"] == "events failed"
    assert (by_table["refunds"]["merged"], by_table["refunds"]["rejected"]) == (0, 2)
    assert "allowed 50" in by_table["refunds"]["message"]


@pytest.mark.slow
def test_days_run_in_order_and_again_without_changing_a_row() -> None:
    arguments = ("--interval", "2024-01-01..2024-01-02", "--table", "orders", "--table", "revenue")
    code, runs = _run(*arguments)
    assert code == 0
    assert list(runs) == [
        ("2024-01-01", "orders"),
        ("2024-01-01", "gold.revenue"),
        ("2024-01-02", "orders"),
        ("2024-01-02", "gold.revenue"),
    ]
    assert runs["2024-01-02", "orders"]["merged"] == 2
    code, again = _run(*arguments)
    assert code == 0
    assert [again[day, "orders"]["merged"] for day in ("2024-01-01", "2024-01-02")] == [0, 0]


def test_ctrl_c_ends_with_130_and_one_line(spark_server: ServerStatus) -> None:
    command = [sys.executable, "-m", "airflow_ingest.cli", "run", "shop.yaml", "--interval", "2024-01-01"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert process.stderr is not None
    assert "2024-01-01" in process.stderr.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Interrupted." in said
    assert "Traceback" not in said


def test_spark_status_tells_of_the_server(spark_server: ServerStatus) -> None:
    result = CliRunner().invoke(app, ["spark", "status"])
    assert result.exit_code == 0
    assert spark_server.address in result.stdout
    assert "token" not in result.output
