"""The built wheel in a clean environment: what a user who runs `pip install` gets."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.airflow

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installed:
    """A virtual environment that holds the wheel and what it depends on, and nothing else."""

    venv: Path
    home: Path

    def run(self, program: str, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with an Airflow home of its own and none of the caller's settings."""
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "PATH", "LANG", "JAVA_HOME")}
        environment = {**kept, "AIRFLOW_HOME": str(self.home), "COLUMNS": "200", "NO_COLOR": "1"}
        command = [str(self.venv / "bin" / program), *arguments]
        return subprocess.run(
            command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("wheel")
    venv, pins = folder / "venv", folder / "pins.txt"
    _uv("build", "--wheel", "--out-dir", str(folder), str(ROOT))
    _uv("export", "--project", str(ROOT), "--frozen", "--no-dev", "--no-hashes", "--no-emit-project", "-o", str(pins))
    _uv("venv", str(venv))
    wheel = next(folder.glob("*.whl"))
    _uv("pip", "install", "--python", str(venv / "bin" / "python"), "--constraint", str(pins), str(wheel))
    return Installed(venv, folder / "airflow")


def _uv(*arguments: str) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr


def test_airflow_lists_the_provider(installed: Installed) -> None:
    listed = installed.run("airflow", "providers", "list", "--output", "plain")
    assert listed.returncode == 0, listed.stderr
    assert any(line.startswith("airflow-ingest ") for line in listed.stdout.splitlines()), listed.stdout


@pytest.mark.parametrize("program", [("airflow-ingest",), ("airflow", "ingest")], ids=" ".join)
def test_both_programs_have_the_same_commands(installed: Installed, program: tuple[str, ...], tmp_path: Path) -> None:
    shown = installed.run(*program, "--help")
    assert shown.returncode == 0, shown.stderr
    assert f"Usage: {' '.join(program)} " in shown.stdout
    assert installed.run(*program, "new", "events", cwd=tmp_path).returncode == 0
    checked = installed.run(*program, "validate", "events.yaml", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    (tmp_path / "events.yaml").write_text("pipeline: events\ntabels: {}\n")
    checked = installed.run(*program, "validate", "events.yaml", cwd=tmp_path)
    assert checked.returncode == 1
    assert "events.yaml:2:1" in checked.stdout


def test_help_of_a_command_shows_its_options_under_airflow_too(installed: Installed) -> None:
    shown = installed.run("airflow", "ingest", "run", "--help")
    assert shown.returncode == 0, shown.stderr
    assert "--interval" in shown.stdout


def test_only_the_spark_client_is_installed_and_the_doctor_says_how_to_get_the_rest(installed: Installed) -> None:
    assert list(installed.venv.glob("lib/python*/site-packages/pyspark/sql/connect/session.py"))
    assert not list(installed.venv.glob("lib/python*/site-packages/pyspark/jars"))
    examined = installed.run("airflow-ingest", "doctor")
    assert examined.returncode == 1
    assert "airflow-ingest[embedded]" in examined.stdout
