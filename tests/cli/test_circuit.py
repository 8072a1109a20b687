"""`circuit`, `status --history` and the breaker before `run --live`."""

import json
from pathlib import Path

import pytest

from tests.cli.commands import invoke

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
circuit_breaker: {failures: 1, reset_after: 1d}
tables:
  orders:
    source: {files: "landing/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id]}
"""


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_bad_live_run_stops_the_next_but_no_backfill_until_it_is_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(PIPELINE)
    Path("landing").mkdir()
    Path("landing/2024-01-02.csv").write_text("id\n2\n")

    assert invoke("run", "shop.yaml", "-i", "2024-01-01", "--live").exit_code == 1
    stopped = invoke("run", "shop.yaml", "-i", "2024-01-02", "--live")
    assert (stopped.exit_code, "The next trial is at" in stopped.stdout) == (1, True)
    again = invoke("run", "shop.yaml", "-i", "2024-01-01", "--live")
    assert "The next trial is at" in again.stdout
    assert invoke("circuit", "shop.yaml").stdout.startswith("shop: open: the circuit is open after 1 bad runs in a row")
    assert invoke("run", "shop.yaml", "-i", "2024-01-02").exit_code == 0

    assert "Say why" in invoke("circuit", "shop.yaml", "--reset").stderr
    assert "closed" in invoke("circuit", "shop.yaml", "--reset", "--reason", "mended").stdout

    history = json.loads(invoke("status", "shop.yaml", "--history", "9", "--json").stdout)
    told = {(run["run_id"].split("T")[0], run["kind"], run["status"], run["rows"]["inserted"]) for run in history}
    assert told == {
        ("cli__live__2024-01-01", "live", "stopped", 0),
        ("cli__live__2024-01-02", "live", "stopped", 0),
        ("cli__backfill__2024-01-02", "backfill", "loaded", 1),
    }
