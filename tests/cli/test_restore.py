"""`maintain` and `restore`: what a user sees, and what the next run makes of it."""

import json
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.cli.commands import ids, invoke, write_shop

PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2024-01-01
lake: ./lake
tables:
  orders:
    source: {files: "landing/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int}, keys: [id], cluster_by: [id]}
gold:
  total: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite, optimize: {zorder_by: [n]}}
"""


@pytest.fixture(autouse=True)
def _shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(PIPELINE, {f"0{day}": f"id\n{day}\n{day}0\n" for day in (1, 2, 3)})


def _version() -> int:
    return max(int(file.stem) for file in Path("lake/silver/orders/_delta_log").glob("*.json"))


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_restored_table_is_taken_on_from_where_it_stands() -> None:
    assert invoke("run", "shop.yaml", "-i", "2024-01-01", "-t", "orders").exit_code == 0
    then = datetime.now(timezone.utc).isoformat()
    time.sleep(0.01)
    assert invoke("run", "shop.yaml", "-i", "2024-01-02", "-t", "orders").exit_code == 0
    newest = _version()

    shown = invoke("restore", "shop.yaml", "silver.orders", "--to", then, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert f"would go back from version {newest} to version {newest - 1}, of " in shown.stdout
    assert "undone, 1 commit:" in shown.stdout
    assert " of 2024-01-02, by run cli__backfill__2024-01-02" in shown.stdout
    assert "takes the batches undone from bronze again" in shown.stdout
    refused = invoke("restore", "shop.yaml", "silver.orders", "--to", then, answer="n\n")
    assert (refused.exit_code, _version()) == (1, newest)

    done = invoke("restore", "shop.yaml", "silver.orders", "--to", then, "--yes")
    assert done.exit_code == 0, done.output
    assert f"version {newest + 1} has the rows of version {newest - 1}" in done.stdout
    assert ids() == [1, 10]
    log = Path(f"lake/silver/orders/_delta_log/{newest + 1:020d}.json").read_text()
    assert f'"version":{newest - 1}' in log
    assert invoke("run", "shop.yaml", "-i", "2024-01-03", "-t", "orders", "--live").exit_code == 0
    assert ids() == [1, 2, 3, 10, 20, 30]

    again = invoke("restore", "shop.yaml", "silver.orders", "--to", str(_version()))
    assert again.exit_code == 1
    assert "already: nothing has changed them since" in again.stderr
    missing = invoke("restore", "shop.yaml", "silver.orders", "--to", "99")
    assert "silver.orders has no version 99: its log has 0 (of " in missing.stderr
    early = invoke("restore", "shop.yaml", "silver.orders", "--to", "2001-01-01")
    assert (
        "silver.orders has no version from 2001-01-01 00:00:00 UTC or before: the oldest in its log is 0"
        in early.stderr
    )
    never = invoke("restore", "shop.yaml", "gold.total", "--to", "0")
    assert "gold.total: there is no table at " in never.stderr


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_a_version_whose_files_are_gone_and_anothers_table_are_refused() -> None:
    for day in ("01", "02"):
        invoke("run", "shop.yaml", "-i", f"2024-01-{day}", "-t", "orders")
    before = _version()
    for file in Path("lake/silver/orders").glob("*.parquet"):
        file.unlink()
    gone = invoke("restore", "shop.yaml", "silver.orders", "--to", str(before - 1), "--yes")
    assert gone.exit_code == 1
    assert f"silver.orders can no longer go back to version {before - 1}, of " in gone.stderr
    assert "Nothing was changed. Name a newer version" in gone.stderr
    assert _version() == before
    Path("other.yaml").write_text(PIPELINE.replace("pipeline: shop", "pipeline: other"))
    foreign = invoke("restore", "other.yaml", "silver.orders", "--to", "1", "--yes")
    assert "the pipeline 'shop' writes this table, so 'other' must not" in foreign.stderr


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_maintain_tells_each_table_that_is_there() -> None:
    nothing = invoke("maintain", "shop.yaml")
    assert (nothing.exit_code, nothing.stdout) == (0, "shop: no table is there yet\n")
    assert not Path("lake").exists()
    invoke("run", "shop.yaml", "-i", "2024-01-01")
    told = invoke("maintain", "shop.yaml", "--json")
    assert told.exit_code == 0, told.output
    tables = {table["table"]: table for table in json.loads(told.stdout)["tables"]}
    assert {"bronze.orders", "silver.orders", "gold.total"} <= tables.keys()
    assert {table["status"] for table in tables.values()} == {"left alone"}
    assert tables["gold.total"]["layout"] == "sorted by n"
    one = invoke("maintain", "shop.yaml", "--table", "silver.orders", "--dry-run")
    assert "shop: a plan, nothing is done" in one.stdout
    assert "clustered by id; small: " in one.stdout
    assert "gold.total" not in one.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ("maintain", "--table", "silver.order"),
            "--table silver.order: the pipeline 'shop' has no such table. Did you mean 'silver.orders'?",
            id="maintain-no-table",
        ),
        pytest.param(("maintain", "--retain", "1h"), "cannot be removed after 1h already", id="maintain-too-short"),
        pytest.param(("maintain", "--retain", "long"), '--retain long: "long" is not a duration.', id="no-duration"),
        pytest.param(("restore", "orders", "--to", "1"), "Did you mean 'silver.orders'?", id="restore-without-layer"),
        pytest.param(("restore", "ops.batches", "--to", "1"), "and none may turn back", id="restore-books"),
        pytest.param(("restore", "gold.total", "--to", "monday"), "--to 'monday' is not understood.", id="no-time"),
    ],
)
def test_wrong_usage_is_told_before_spark_is_asked(
    arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_ingest.cli.sessions.get_session", None)
    command, *options = arguments
    result = invoke(command, "shop.yaml", *options)
    assert result.exit_code == 1, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
