"""`plan` as a user sees it. That its numbers are those of the run is tested in tests/lakehouse/test_plan.py."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from airflow_ingest.cli.app import app

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  orders:
    source: {files: "landing/orders/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int, amount: int}, keys: [id], load: merge}
    quality: {max_reject_rate: 50%, rules: [{name: positive, expect: "amount > 0"}]}
  refunds:
    source: {files: "landing/refunds/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id], load: merge}
    quality: {max_reject_rate: 50%}
  events:
    source: {files: "landing/events/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id], load: merge}
gold:
  revenue: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite}
"""

FOLLOWER = """\
pipeline: report
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  copy:
    source: {delta: {table: silver.orders}}
    extract: {mode: incremental}
    silver: {keys: [id], sequence_by: [_commit_version, _change_type]}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.yaml").write_text(PIPELINE)
    for name, text in (("orders", "id,amount\n1,10\n2,20\n3,-1\n"), ("refunds", "id\nx\ny\n3\n")):
        folder = Path("landing", name)
        folder.mkdir(parents=True)
        (folder / "2024-01-01.csv").write_text(text)


def _plan(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["plan", "shop.yaml", *arguments], prog_name="airflow-ingest")


@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_plan_of_a_lake_that_is_not_there_yet_does_not_make_it() -> None:
    result = _plan("--interval", "2024-01-01", "--json")
    assert result.exit_code == 1, result.output
    assert not Path("lake").exists()
    plan: dict[str, Any] = json.loads(result.stdout)
    tables = {table["table"]: table for table in plan["tables"]}
    orders, refunds, events = tables["orders"], tables["refunds"], tables["events"]
    assert (orders["status"], orders["rows"]["inserted"], orders["rejections"]) == ("load", 2, {"positive": 1})
    assert [(Path(file["path"]).name, file["size"]) for file in orders["batch"]["files"]] == [("2024-01-01.csv", 25)]
    assert (refunds["status"], refunds["rows"]["rejected"], refunds["rows"]["inserted"]) == ("hold", 2, 0)
    assert "allowed 50" in refunds["reason"]
    assert events["status"] == "fail"
    assert "landing/events/2024-01-01.csv" in events["reason"]
    assert [(gold["table"], gold["status"]) for gold in plan["gold"]] == [("revenue", "wait")]


@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_plan_reads_as_what_would_happen() -> None:
    result = _plan("--interval", "2024-01-01", "--table", "orders", "--table", "revenue")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "shop, 2024-01-01: a plan, nothing is written" in lines
    assert "orders would be loaded" in lines
    assert "rows 3 read = 2 inserted + 1 rejected" in lines
    assert "rejected positive: 1" in lines
    assert "WHEN NOT MATCHED THEN INSERT *" in lines
    assert "gold.revenue would have to wait: silver.orders is not published yet" in lines
    assert "news what this run publishes in silver.orders comes on top" in lines
    assert not Path("lake").exists()


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_pipeline_that_follows_another_one_is_planned_run_and_told_of() -> None:
    Path("report.yaml").write_text(FOLLOWER)

    def invoke(command: str, *more: str) -> Result:
        return CliRunner().invoke(app, [command, "report.yaml", *more], prog_name="airflow-ingest")

    early = invoke("plan", "--interval", "2024-01-01")
    assert "there is no Delta table at" in " ".join(early.stdout.split())
    shop = ["run", "shop.yaml", "-i", "2024-01-01", "-t", "orders"]
    assert CliRunner().invoke(app, shop, prog_name="airflow-ingest").exit_code == 0
    plan = invoke("plan", "--interval", "2024-01-01")
    assert plan.exit_code == 0, plan.output
    lines = [" ".join(line.split()) for line in plan.stdout.replace("\n/", "/").splitlines()]
    assert any(line.startswith("versions") and line.endswith("silver/orders: version 1") for line in lines), lines
    assert "rows 2 read = 2 inserted" in lines
    assert invoke("run", "-i", "2024-01-01").exit_code == 0
    again = invoke("plan", "--interval", "2024-01-02")
    assert "which have no intervals" in " ".join(again.stdout.split())
    status = json.loads(invoke("status", "--json").stdout)
    assert status["tables"][0]["silver"]["last"]["rows"] == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--interval", "2024-01-01..2024-01-02"), "these are 2 data intervals"),
        (("--interval", "soon"), "'soon' is not understood"),
        (("--interval", "2024-01-01", "--table", "ordres"), "Did you mean 'orders'?"),
    ],
    ids=["two intervals", "no interval", "no such table"],
)
def test_a_plan_refuses_before_it_touches_spark(arguments: tuple[str, ...], says: str) -> None:
    result = _plan(*arguments)
    assert result.exit_code == 1
    assert says in result.stderr
