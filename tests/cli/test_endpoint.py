"""Where `run` gets its Spark."""

import pytest

from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.runtime import Connect, Embedded, RuntimeProblem

VARIABLE = "AIRFLOW_CONN_SPARK_DEFAULT"


@pytest.fixture(autouse=True)
def _no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.mark.parametrize("conn_id", [None, "spark_default"])
def test_the_default_is_the_server_on_this_machine(conn_id: str | None) -> None:
    assert isinstance(endpoint_of(conn_id, None), Embedded)


def test_an_address_on_the_command_line_wins_over_the_pipelines_connection() -> None:
    assert endpoint_of("production", "sc://spark.example.com:15002") == Connect("sc://spark.example.com:15002")


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(RuntimeProblem, match="is not a Spark Connect URL"):
        endpoint_of(None, "http://spark.example.com")


@pytest.mark.airflow
@pytest.mark.parametrize("conn_id", ["spark_default", "production"])
def test_a_connection_in_the_environment_is_airflows(conn_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", "spark-connect://spark.example.com:15002")
    endpoint = endpoint_of(conn_id, None)
    assert isinstance(endpoint, Connect)
    assert endpoint.address == "sc://spark.example.com:15002"
