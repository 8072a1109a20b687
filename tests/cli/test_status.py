"""`status`: what a user sees of tables that are fresh, behind, held or not there."""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.cli.status import missing_intervals
from airflow_ingest.config import load_pipeline
from tests.cli.commands import invoke, write_shop

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  orders:
    source: {files: "landing/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id], load: merge}
    quality: {max_reject_rate: 50%}
  raw:
    source: {files: "landing/raw/{{ ds }}.csv", format: csv, options: {header: true}}
gold:
  total: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(PIPELINE, {"01": "id\n1\n2\nx\n", "04": "id\n4\n", "05": "id\nx\ny\n5\n"})


@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_lake_that_is_not_there_was_never_loaded() -> None:
    result = invoke("status", "shop.yaml")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("never loaded") == 3
    assert not Path("lake").exists()


@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_status_tells_watermarks_gaps_dead_letters_and_what_is_held() -> None:
    invoke("run", "shop.yaml", "-i", "2024-01-01", "-t", "orders", "-t", "total")
    invoke("run", "shop.yaml", "-i", "2024-01-04..2024-01-05", "-t", "orders")
    invoke("run", "shop.yaml", "-i", "2024-01-06", "-t", "orders")
    before = {str(path) for path in Path("lake").rglob("*")}
    result = invoke("status", "shop.yaml", "--json")
    assert result.exit_code == 0, result.output
    assert {str(path) for path in Path("lake").rglob("*")} == before
    status: dict[str, Any] = json.loads(result.stdout)
    orders, raw = status["tables"]
    assert (orders["bronze"]["watermark"], orders["silver"]["watermark"]) == (
        "2024-01-06T00:00:00Z",
        "2024-01-05T00:00:00Z",
    )
    assert (orders["bronze"]["last"]["rows"], orders["silver"]["last"]["rows"]) == (3, 1)
    assert orders["bronze"]["last"]["run_id"].startswith("cli__backfill__2024-01-05")
    loaded_at = datetime.fromisoformat(orders["bronze"]["last"]["at"].replace("Z", "+00:00"))
    assert abs(datetime.now(timezone.utc) - loaded_at) < timedelta(minutes=10)
    assert [(found["state"], found["batch"]["interval"]["start"]) for found in orders["waiting"]] == [
        ("held", "2024-01-05T00:00:00Z")
    ]
    assert "allowed 50" in orders["waiting"][0]["reason"]
    assert orders["open_letters"] == 3
    assert [gap["start"][:10] for gap in orders["gaps"]] == ["2024-01-02", "2024-01-03"]
    assert [(failure["kind"], failure["attempts"]) for failure in orders["failed"]] == [("SourceNotFound", 1)]
    assert raw["bronze"] is None
    assert len(status["gold"][0]["news"]) == 1

    told = invoke("status", "shop.yaml").stdout
    assert "orders: gaps, never loaded: 2024-01-02, 2024-01-03" in told
    assert "orders: 3 open dead letters" in told
    assert "of 2024-01-05 is held: " in told
    assert "was given up after 1 try: no file at" in told
    assert "gold.total: silver.orders went from version " in told


@pytest.mark.parametrize(
    ("schedule", "days", "missing"),
    [
        ('"@daily"', (1, 2, 3), []),
        ('"@daily"', (1, 4, 5), [2, 3]),
        ('"@daily"', (3,), []),
        ("null", (1, 4), []),
    ],
    ids=["none", "two", "one load", "no schedule"],
)
def test_gaps_lie_between_the_first_and_the_newest(schedule: str, days: tuple[int, ...], missing: list[int]) -> None:
    Path("shop.yaml").write_text(PIPELINE.replace('"@daily"', schedule))
    ends = tuple(datetime(2024, 1, day, tzinfo=timezone.utc) + timedelta(days=1) for day in days)
    assert [start.day for start, _ in missing_intervals(ends, load_pipeline(Path("shop.yaml")))] == missing
