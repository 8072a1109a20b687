"""`profile`: what a user sees of a table's columns, what changed, and what cannot be profiled."""

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from airflow_ingest.cli.app import app
from airflow_ingest.cli.profile_report import print_profiles
from airflow_ingest.config import parse_pipeline
from airflow_ingest.lakehouse import ColumnProfile, TableProfile
from tests.cli.commands import write_shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  orders:
    source: {files: "landing/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int, city: string}, keys: [id], load: merge, profile: true}
  raw:
    source: {files: "landing/raw/{{ ds }}.csv", format: csv, options: {header: true}}
gold:
  total: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite, profile: true}
  later: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(PIPELINE, {"01": "id,city\n1,Köln\n2,\n", "02": "id,city\n3,[red]\n4,Ulm\n"})


def _invoke(command: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, [command, "shop.yaml", *arguments], prog_name="airflow-ingest")


@pytest.mark.slow
@pytest.mark.spark
def test_a_profile_tells_what_columns_hold_and_what_changed(spark: "SparkSession") -> None:
    def write(rows: str) -> None:
        cities = spark.sql(f"SELECT * FROM VALUES {rows} AS orders(id, city)")
        cities.write.format("delta").mode("overwrite").save(str(Path("lake/silver/orders").absolute()))

    write("(1, 'Köln'), (2, NULL)")
    (first,) = json.loads(_invoke("profile", "orders", "--json").stdout)["profiles"]
    assert (first["table"], first["version"], first["rows"], first["changes"]) == ("silver.orders", 0, 2, None)
    assert first["run_id"].startswith("cli__profile__")
    write("(1, 'Köln'), (2, NULL), (3, '[red]'), (4, 'Ulm')")
    shown = _invoke("profile")
    assert shown.exit_code == 1
    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    title = next(line for line in lines if line.startswith("silver.orders, version 1 of "))
    assert title.endswith(": 4 rows (+2 since version 0)")
    assert "│ id │ int │ 0% │ 4 │ 1 │ 4 │ 2.5 │ 2 │ │ distinct 2 → 4 │" in lines
    assert any(line.startswith("│ city │ string │ 25.00% │ 3 │ Köln │ [red] │") for line in lines), lines
    assert any(line.endswith("│ nulls 50.00% → 25.00%; distinct 1 → 3 │") for line in lines), lines
    assert any("gold.later: gold.later was never loaded: there is no table at" in line for line in lines)


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_run_profiles_what_asks_for_it() -> None:
    first = json.loads(_invoke("run", "-i", "2024-01-01", "--table", "orders", "-t", "total", "--json").stdout)
    states = {run["table"]: run["state"] for run in first}
    assert states == {
        "orders": "loaded",
        "orders.profile": "profiled",
        "gold.total": "loaded",
        "gold.total.profile": "profiled",
    }
    assert next(run for run in first if run["table"] == "orders.profile")["message"].endswith("2 rows, 2 columns")
    again = json.loads(_invoke("run", "-i", "2024-01-01", "-t", "total", "--json").stdout)
    assert [run["state"] for run in again] == ["unchanged", "unchanged"]
    plan = json.loads(_invoke("plan", "-i", "2024-01-02", "--json").stdout)
    assert [table["table"] for table in plan["tables"]] == ["orders", "raw"]
    assert [table["table"] for table in plan["gold"]] == ["total", "later"]
    (profile,) = json.loads(_invoke("profile", "silver.orders", "--json").stdout)["profiles"]
    assert (profile["kept"], profile["run_id"][:25]) == (True, "cli__backfill__2024-01-01")


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_nothing_published_is_nothing_to_profile() -> None:
    Path("landing/2024-01-01.csv").write_text("id,city\nx,Köln\n")
    Path("shop.yaml").write_text(
        PIPELINE.replace("profile: true}", "profile: true}\n    quality: {max_reject_rate: 1%}", 1)
    )
    runs = json.loads(_invoke("run", "-i", "2024-01-01", "-t", "orders", "--json").stdout)
    assert {run["table"]: run["state"] for run in runs} == {"orders": "held", "orders.profile": "skipped"}


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_an_older_version_and_the_columns_of_loads_are_measured_when_asked_for() -> None:
    _invoke("run", "-i", "2024-01-01..2024-01-02", "-t", "orders")
    newest = json.loads(_invoke("profile", "orders", "--json").stdout)["profiles"][0]["version"]
    (old,) = json.loads(_invoke("profile", "orders", "--version", str(newest - 1), "--json").stdout)["profiles"]
    assert (old["rows"], old["kept"]) == (2, True)
    (whole,) = json.loads(_invoke("profile", "orders", "--all-columns", "--json").stdout)["profiles"]
    assert {"_batch_id", "_ingested_at", "_sequence"} < {column["name"] for column in whole["columns"]}
    assert not whole["kept"]
    missing = _invoke("profile", "silver.orders", "--version", "99")
    assert missing.exit_code == 1
    assert f"silver.orders has no version 99: the newest one is {newest}" in " ".join(missing.stdout.split())


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_profile_that_fails_turns_the_run_red_and_stops_no_gold_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_ingest import lakehouse

    def broken(*_: Any, **__: Any) -> TableProfile:
        raise lakehouse.LakehouseError("no profile today")

    monkeypatch.setattr(lakehouse, "profile_table", broken)
    result = _invoke("run", "-i", "2024-01-01", "-t", "orders", "-t", "later", "--json")
    assert result.exit_code == 1
    states = {run["table"]: (run["state"], run["message"]) for run in json.loads(result.stdout)}
    assert states["orders.profile"] == ("failed", "no profile today")
    assert (states["orders"][0], states["gold.later"][0]) == ("loaded", "loaded")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("silver.ordres",), "silver.ordres: the pipeline 'shop' has no such table. Did you mean 'silver.orders'?"),
        (("ordres",), "Did you mean 'silver.orders'?"),
        (("gold.orders",), "Did you mean 'silver.orders'?"),
        (("bronze.raw",), "raw stops at bronze"),
        (("raw",), "raw stops at bronze"),
        (("zzz",), "It has silver.orders, gold.total, gold.later."),
        (("--version", "3"), "Name the TABLE that is meant"),
    ],
    ids=["misspelt", "misspelt without layer", "wrong layer", "bronze", "bronze alone", "unlike any", "no table"],
)
def test_a_profile_refuses_before_it_touches_spark(arguments: tuple[str, ...], says: str) -> None:
    result = _invoke("profile", *arguments)
    assert result.exit_code == 1
    assert says in result.stderr
    assert not Path("lake").exists()


def test_hidden_and_strange_values_are_shown_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    at = datetime(2024, 1, 1, 12, tzinfo=timezone.utc)
    columns = (
        ColumnProfile(name="card", type="string", hidden=True, nulls=0, null_rate=0.0, distinct=9, min_length=16,
                      mean_length=16.0, max_length=16),
        ColumnProfile(name="n\x1b[31mote", type="string", nulls=1, null_rate=0.00001, distinct=2, min="a\nb",
                      max="z" * 150),
        ColumnProfile(name="ratio", type="double", nulls=0, null_rate=0.0, nans=3, distinct=7, min="0.5", max="2.0",
                      mean=1234567.891, median="1.0"),
    )  # fmt: skip
    profile = TableProfile(
        table="gold.t", version=4, committed=at, rows=100_000, columns=columns, run_id="r", fingerprint="f", at=at
    )
    pipeline = parse_pipeline(PIPELINE.replace("lake:", "timezone: Europe/Berlin\nlake:"), file="shop.yaml")
    print_profiles(pipeline, [(profile, None)], {})
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "gold.t, version 4 of 2024-01-01 13:00: 100,000 rows"
    assert "│ card │ string │ 0% │ 9 │ hidden │ hidden │ hidden │ hidden │ 16 │" in lines
    assert any(line.startswith(f"│ n·[31mote │ string │ <0.01% │ 2 │ a·b │ {'z' * 31}… │") for line in lines), lines
    assert "│ ratio │ double │ 0%, 3 NaN │ 7 │ 0.5 │ 2.0 │ 1.23457e+06 │ 1.0 │ │" in lines
