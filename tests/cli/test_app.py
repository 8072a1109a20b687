"""The commands that need no Spark, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from airflow_ingest.cli.app import app
from airflow_ingest.cli.starter import Format

GOOD = """\
pipeline: {name}
schedule: "@daily"
start_date: 2013-01-01
lake: ./lake
tables:
  flights:
    source: {{files: "landing/{{{{ ds }}}}.csv", format: csv}}
    silver: {{keys: [flight]}}
gold:
  totals: {{sql: "SELECT count(*) AS flights FROM silver.flights", load: overwrite}}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="airflow-ingest")


def _write(name: str, text: str = GOOD) -> Path:
    path = Path(f"{name}.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.format(name=path.stem) if text is GOOD else text)
    return path


def test_validate_shows_every_mistake_of_every_file_as_file_line_column() -> None:
    _write("dags/good")
    _write("dags/bad", GOOD.format(name="bad").replace("lake:", "laek:").replace("keys:", "kyes:"))
    _write("dags/deep/worse", "pipeline: worse\n")
    result = _run("validate", "dags")
    assert result.exit_code == 1
    places = [
        line.split(": ")[0] for line in result.output.splitlines() if line.startswith("dags/") and ".yaml:" in line
    ]
    assert "dags/bad.yaml:4:1" in places
    assert any(place.startswith("dags/bad.yaml:8:") for place in places)
    assert any(place.startswith("dags/deep/worse.yaml:") for place in places)
    assert "in 2 of 3 files" in result.stderr
    assert "ok dags/good.yaml: 1 tables, 1 gold" in result.stdout


def test_validate_exits_with_0_where_all_is_fine() -> None:
    result = _run("validate", str(_write("one")), str(_write("two")))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == ["ok one.yaml: 1 tables, 1 gold", "ok two.yaml: 1 tables, 1 gold"]


def test_validate_notes_a_gold_table_that_is_recomputed_whole() -> None:
    text = GOOD.format(name="trips").replace("load: overwrite", "load: replace, partition_by: [flights]")
    result = _run("validate", str(_write("trips", text)))
    assert result.exit_code == 0, result.output
    assert "note: gold.totals is recomputed whole" in result.stdout
    clock = text.replace("FROM silver.flights", "FROM silver.flights WHERE day > current_date() - 30")
    assert "in every run, because its query reads the clock" in _run("validate", str(_write("trips", clock))).stdout
    traced = text.replace(
        "count(*) AS flights FROM silver.flights", "day, count(*) AS n FROM silver.flights GROUP BY day"
    )
    result = _run("validate", str(_write("trips", traced.replace("[flights]", "[day]"))))
    assert result.exit_code == 0, result.output
    assert "note:" not in result.stdout


def test_validate_notes_a_merged_gold_table_whose_keys_come_from_no_column_of_an_input() -> None:
    text = GOOD.format(name="trips").replace("load: overwrite", "load: merge, keys: [flights]")
    result = _run("validate", str(_write("trips", text)))
    assert (
        "because none of its keys (flights) can be traced to one column of an input; only what differs is written"
        in (" ".join(result.stdout.split()))
    )


def test_validate_as_json_gives_the_parts_of_each_mistake() -> None:
    _write("bad", GOOD.format(name="bad").replace("lake:", "laek:"))
    result = _run("validate", "--json", "bad.yaml")
    assert result.exit_code == 1
    mistakes = json.loads(result.stdout)
    assert {"file": "bad.yaml", "line": 4, "column": 1, "path": "laek"}.items() <= mistakes[-1].items()
    assert set(mistakes[-1]) == {"file", "line", "column", "path", "problem", "hint"}


def test_validate_of_a_folder_without_pipelines_is_a_failure() -> None:
    Path("empty").mkdir()
    result = _run("validate", "empty")
    assert result.exit_code == 1
    assert "No *.yaml or *.yml file in empty" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate",),
        ("validate", "missing.yaml"),
        ("run", "missing.yaml"),
        ("nonsense",),
        ("new", "x", "--format", "xml"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments)
    assert result.exit_code == 2
    assert "Usage: airflow-ingest" in result.output


def test_a_mistake_in_the_file_is_a_message_and_no_traceback() -> None:
    path = _write("bad", "pipeline: other\n")
    result = _run("graph", str(path))
    assert result.exit_code == 1
    assert "bad.yaml:1:" in result.stderr
    assert "Traceback" not in result.output


def test_debug_lets_the_error_through() -> None:
    path = _write("bad", "pipeline: other\n")
    result = _run("--debug", "graph", str(path))
    assert type(result.exception).__name__ == "ConfigError"


def test_schema_is_a_json_schema_on_stdout_or_in_a_file() -> None:
    printed = json.loads(_run("schema").stdout)
    assert "tables" in printed["properties"]
    assert _run("schema", "--output", "schema.json").exit_code == 0
    assert json.loads(Path("schema.json").read_text()) == printed


def test_graph_draws_each_step_below_the_one_that_it_follows() -> None:
    result = _run("graph", str(_write("trips")))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "trips (@daily, UTC)"
    assert [line.lstrip("│├└─ ").split(" →")[0] for line in lines[1:]] == [
        "flights",
        "ingest_bronze",
        "has_pending_batches",
        "quality_gate",
        "hold_batch",
        "merge_silver",
        "gold",
        "totals from silver.flights",
    ]
    depth = {line.lstrip("│├└─ ").split(" ")[0]: len(line) - len(line.lstrip("│├└─ ")) for line in lines[1:]}
    assert depth["ingest_bronze"] < depth["has_pending_batches"] < depth["quality_gate"] < depth["merge_silver"]
    assert depth["hold_batch"] == depth["merge_silver"]


def test_graph_as_json_is_the_compiled_graph() -> None:
    graph = json.loads(_run("graph", "--json", str(_write("trips"))).stdout)
    assert "flights.merge_silver" in [step["id"] for step in graph["steps"]]


@pytest.mark.parametrize("file_format", list(Format), ids=lambda item: item.value)
def test_a_new_pipeline_validates_as_it_stands(file_format: Format) -> None:
    result = _run("new", "orders", "--format", file_format.value)
    assert result.exit_code == 0, result.output
    assert "airflow-ingest validate orders.yaml" in result.stdout
    assert _run("validate", "orders.yaml").exit_code == 0
    assert _run("graph", "orders.yaml").exit_code == 0


def test_new_never_overwrites() -> None:
    path = _write("orders", "mine\n")
    result = _run("new", "orders")
    assert result.exit_code == 1
    assert "orders.yaml exists already" in result.stderr
    assert path.read_text() == "mine\n"


@pytest.mark.parametrize("name", ["../up", "with space", "ümlaut/x"])
def test_new_refuses_what_cannot_name_a_pipeline(name: str) -> None:
    assert _run("new", name).exit_code == 1
    assert list(Path().iterdir()) == []


def test_new_says_so_where_it_cannot_write() -> None:
    result = _run("new", "orders", "--directory", "nowhere")
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_run_refuses_a_table_that_is_not_there_with_the_nearest() -> None:
    result = _run("run", str(_write("trips")), "--interval", "2013-01-01", "--table", "flihgts")
    assert result.exit_code == 1
    assert "Did you mean 'flights'?" in result.stderr


def test_run_refuses_an_interval_before_it_touches_spark() -> None:
    result = _run("run", str(_write("trips")), "--interval", "last week")
    assert result.exit_code == 1
    assert "'last week' is not understood" in result.stderr


def test_the_version_is_the_packages() -> None:
    from airflow_ingest import __version__

    assert _run("--version").stdout == f"airflow-ingest {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "forbidden"),
    [
        (["--help"], ["airflow", "pyspark", "airflow_ingest.config", "sqlglot", "pandas"]),
        (["validate", "trips.yaml"], ["airflow", "pyspark", "pandas"]),
        (["graph", "trips.yaml"], ["airflow", "pyspark", "pandas"]),
        (["schema"], ["airflow", "pyspark", "pandas"]),
        (["spark", "status"], ["airflow", "pyspark", "pandas"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_a_command_imports_nothing_that_it_does_not_need(
    arguments: list[str], forbidden: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    _write("trips")
    program = (
        "import sys\nfrom airflow_ingest.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', [name for name in {forbidden!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []", done.stderr


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_ingest.cli", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("airflow-ingest ")
