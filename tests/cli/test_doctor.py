"""What `doctor` says of a machine, and that it says how to mend it."""

import socket
from pathlib import Path

import pytest

from airflow_ingest.cli import checks
from airflow_ingest.cli.checks import CHECKS, Check
from airflow_ingest.cli.doctor import examine
from airflow_ingest.runtime import RuntimeProblem
from airflow_ingest.runtime.endpoints import PORT
from airflow_ingest.runtime.jars import REPOSITORY


def _missing() -> str:
    raise RuntimeProblem("There is no [thing].", "Install the [thing].")


def test_what_is_there_is_told_and_the_code_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine([Check("Thing", lambda: "1.0 at /opt")]) == 0
    assert "ok       Thing: 1.0 at /opt" in capsys.readouterr().out


def test_what_is_missing_comes_with_its_remedy_and_the_code_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine([Check("Thing", _missing), Check("Other", lambda: "here")]) == 1
    said = capsys.readouterr().out
    assert "missing  Thing: There is no [thing].\n         Install the [thing]." in said
    assert "ok       Other: here" in said


def test_what_is_not_needed_to_run_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert examine([Check("Thing", _missing, needed=False)]) == 0
    assert "warning  Thing" in capsys.readouterr().out


def test_this_machine_has_python_airflow_java_and_spark() -> None:
    found = {check.name: check.look() for check in CHECKS if check.name in ("Python", "Airflow", "Java", "Spark")}
    assert found["Airflow"].startswith("3.")
    assert found["Spark"].startswith("4.2.0 at ")


def test_a_java_home_without_java_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(RuntimeProblem, match="JAVA_HOME") as caught:
        checks.java()
    assert "Install Java 17" in caught.value.remedy


def test_a_taken_port_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        monkeypatch.setenv(PORT, str(number))
        with pytest.raises(RuntimeProblem, match=f"Port {number} cannot be had"):
            checks.port()
    assert checks.port() == str(number)


def test_delta_out_of_reach_names_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(REPOSITORY, "http://127.0.0.1:9/maven/")
    with pytest.raises(RuntimeProblem, match=r"http://127\.0\.0\.1:9/maven/ cannot be reached") as caught:
        checks.delta()
    assert REPOSITORY in caught.value.remedy
