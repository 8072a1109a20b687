"""The hook: what each kind of connection leads to, and one session for real."""

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from airflow_ingest.hooks import SparkDeltaHook
from airflow_ingest.runtime import Connect, Embedded, RuntimeProblem, ServerStatus

pytestmark = pytest.mark.airflow


def connection(monkeypatch: pytest.MonkeyPatch, conn_id: str = "spark_default", **fields: object) -> None:
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))


def test_without_a_connection_spark_is_embedded() -> None:
    assert SparkDeltaHook().get_endpoint() == Embedded()
    assert SparkDeltaHook(None).get_endpoint() == Embedded()


@pytest.mark.parametrize(("host", "cores"), [("local[*]", "*"), ("local[3]", "3"), ("local", "1"), ("", "*")])
def test_a_local_master_is_embedded(host: str, cores: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, conn_type="spark", host=host)
    assert SparkDeltaHook().get_endpoint() == Embedded(cores=cores)


def test_the_extra_sets_the_embedded_server(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"memory": "3g", "idle_timeout": "1h", "conf": {"spark.hadoop.fs.s3a.secret.key": "secret"}}
    connection(monkeypatch, conn_type="spark", host="local[*]", extra=extra)
    endpoint = SparkDeltaHook().get_endpoint()
    assert endpoint == Embedded(memory="3g", cores="*", idle_timeout=timedelta(hours=1), conf=extra["conf"])  # type: ignore[arg-type]
    assert "secret" not in repr(endpoint)


def test_the_extra_names_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    drivers = ["com.mysql:mysql-connector-j:9.1.0"]
    connection(monkeypatch, conn_type="spark", host="local[*]", extra={"drivers": drivers})
    assert SparkDeltaHook().get_endpoint() == Embedded(cores="*", drivers=tuple(drivers))
    connection(monkeypatch, conn_type="spark", host="local[*]", extra={"drivers": drivers[0]})
    with pytest.raises(RuntimeProblem, match="drivers in its extra that are no list"):
        SparkDeltaHook().get_endpoint()


def test_a_spark_connect_connection_leads_there_and_hides_its_token(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "far", conn_type="spark_connect", host="spark.example.com", port=15002, password="to ken")
    endpoint = SparkDeltaHook("far").get_endpoint()
    assert endpoint == Connect("sc://spark.example.com:15002/;token=to%20ken")
    assert "ken" not in repr(endpoint)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param(
            {"conn_type": "spark", "host": "yarn"}, "cluster 'yarn'.*not served yet.*spark_connect", id="cluster"
        ),
        pytest.param({"conn_type": "spark", "host": "spark://h", "port": 7077}, "not served yet", id="standalone"),
        pytest.param({"conn_type": "http", "host": "x"}, "type 'http'.*not Spark.*spark_connect", id="another type"),
        pytest.param({"conn_type": "spark_connect"}, "has no host", id="no host"),
        pytest.param(
            {"conn_type": "spark", "host": "local[*]", "extra": {"memry": "1g"}},
            "memry.*knows conf, drivers",
            id="extra",
        ),
        pytest.param(
            {"conn_type": "spark", "host": "local", "extra": {"idle_timeout": "1"}}, "'c'.*not a duration", id="idle"
        ),
        pytest.param({"conn_type": "spark", "host": "local", "extra": {"conf": "x"}}, "conf.*object", id="conf"),
    ],
)
def test_what_cannot_be_used_is_explained(
    fields: dict[str, object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, "c", **fields)
    with pytest.raises(RuntimeProblem, match=f"(?s){said}"):
        SparkDeltaHook("c").get_endpoint()


def test_a_connection_that_was_named_must_be_there() -> None:
    with pytest.raises(RuntimeProblem, match="no Airflow connection 'nowhere'"):
        SparkDeltaHook("nowhere").get_endpoint()


@pytest.mark.spark
def test_a_session_carries_the_settings_and_ends_but_for_its_channel(
    spark_server: ServerStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = SparkDeltaHook(conf={"spark.sql.shuffle.partitions": "9"})
    closed: list[str] = []
    with hook.session() as spark:
        assert spark.conf.get("spark.sql.shuffle.partitions") == "9"
        monkeypatch.setattr(spark.client._channel, "close", lambda: closed.append("in which a task may wait for ever"))
    assert spark.is_stopped  # type: ignore[attr-defined]
    assert closed == []
    with pytest.raises(Exception, match="NO_ACTIVE_SESSION"):
        spark.sql("SELECT 1").collect()
    assert hook.test_connection() == (True, "Spark 4.2.0 answers.")


def test_a_failed_test_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "gone", conn_type="spark_connect", host="localhost", port=1)
    ok, message = SparkDeltaHook("gone").test_connection()
    assert not ok
    assert "No Spark answers at sc://localhost:1" in message


def test_importing_the_hook_does_not_import_pyspark() -> None:
    code = "import sys, airflow_ingest.hooks; print('pyspark' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
