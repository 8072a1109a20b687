"""What a local Airflow hands its components, and what it says when one of them does not start."""

import os
from pathlib import Path

import pytest

from airflow_ingest.testing import LocalAirflow, LocalAirflowError


def test_components_see_none_of_the_callers_airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__PARALLELISM", "32")
    monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", "spark://elsewhere")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    monkeypatch.setenv("AIRFLOW_INGEST_SPARK_MEMORY", "700m")
    environment = LocalAirflow(tmp_path / "home", tmp_path, env={"LAKE_ROOT": "/lake"}).environment()
    assert not [name for name in environment if name.startswith(("AIRFLOW__", "AIRFLOW_CONN_"))]
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "home")
    assert environment["AIRFLOW_INGEST_SPARK_MEMORY"] == "700m"
    assert environment["LAKE_ROOT"] == "/lake"


def test_components_reach_each_other_past_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "intranet")
    environment = LocalAirflow(tmp_path, tmp_path).environment()
    assert environment["NO_PROXY"] == environment["no_proxy"] == "intranet,localhost,127.0.0.1"


@pytest.mark.airflow
def test_a_start_that_fails_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "airflow.db").mkdir(parents=True)
    airflow = LocalAirflow(home, tmp_path)
    with pytest.raises(LocalAirflowError, match=r"(?s)could not make its database.*unable to open database file"):
        airflow.start()
    assert airflow.processes() == []


@pytest.mark.airflow
def test_a_component_that_ends_is_named_with_its_log(tmp_path: Path) -> None:
    airflow = LocalAirflow(tmp_path / "home", tmp_path)
    airflow.home.mkdir()
    try:
        component = airflow._launch("scheduler", ("schedulr",))
        component.process.wait(60)
        with pytest.raises(LocalAirflowError, match=r"(?s)Airflow's scheduler ended with code 2.*schedulr"):
            airflow.check()
    finally:
        airflow.stop()


def test_spark_sessions_borrow_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_INGEST_HOME", "/mine")
    airflow = LocalAirflow(tmp_path / "home", tmp_path)
    seen = []

    def session() -> None:
        seen.append(os.environ["AIRFLOW_INGEST_HOME"])
        raise RuntimeError

    monkeypatch.setattr("airflow_ingest.testing.local_airflow.session", session)
    with pytest.raises(RuntimeError), airflow.spark():
        pass
    assert seen == [str(airflow.runtime_home)]
    assert os.environ["AIRFLOW_INGEST_HOME"] == "/mine"
