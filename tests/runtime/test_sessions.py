"""Sessions on a real server: fresh, in UTC, ANSI, and closed without harm to the server."""

import os
import subprocess
import sys

import pytest

from airflow_ingest.runtime import Connect, Embedded, RuntimeProblem, ServerStatus, get_session, session, start_server

pytestmark = pytest.mark.spark


def test_a_session_is_utc_and_ansi() -> None:
    with session(Embedded()) as spark:
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert spark.conf.get("spark.sql.ansi.enabled") == "true"


def test_a_connected_session_is_utc_and_ansi_and_takes_settings(spark_server: ServerStatus) -> None:
    with session(Connect(spark_server.url), {"spark.sql.shuffle.partitions": "7"}) as spark:
        assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
        assert spark.conf.get("spark.sql.ansi.enabled") == "true"
        assert spark.conf.get("spark.sql.shuffle.partitions") == "7"


def test_the_users_settings_win_and_do_not_leak() -> None:
    settings = {"spark.sql.session.timeZone": "Asia/Tokyo", "spark.sql.shuffle.partitions": "5"}
    with session(Embedded(), settings) as mine:
        mine.conf.set("spark.databricks.delta.commitInfo.userMetadata", "mine")
        mine.range(1).createOrReplaceTempView("mine")
        with session(Embedded()) as other:
            assert {key: mine.conf.get(key) for key in settings} == settings
            assert other.conf.get("spark.sql.session.timeZone") == "UTC"
            assert other.conf.get("spark.sql.shuffle.partitions") != "5"
            assert other.conf.get("spark.databricks.delta.commitInfo.userMetadata", None) is None
            assert not other.catalog.tableExists("mine")


def test_stopping_a_session_leaves_the_server_and_other_sessions(spark_server: ServerStatus) -> None:
    with session(Embedded()) as other:
        get_session(Embedded()).stop()
        assert other.sql("SELECT 1 AS one").head() == (1,)
    assert start_server().pid == spark_server.pid


@pytest.mark.parametrize("key", ["spark.sql.warehouse.dir", "spark.sql.extensions", "spark.driver.memory"])
def test_a_static_setting_is_refused_with_its_place(key: str) -> None:
    with pytest.raises(RuntimeProblem, match=rf"(?s){key} is fixed when Spark starts.*spark\.conf.*extra"):
        get_session(Embedded(), {key: "x"})


def test_a_wrong_value_is_refused() -> None:
    with pytest.raises(RuntimeProblem, match=r"(?s)refuses spark\.sql\.shuffle\.partitions.*many"):
        get_session(Embedded(), {"spark.sql.shuffle.partitions": "many"})


def test_a_server_that_is_not_there_is_named_without_its_token() -> None:
    with pytest.raises(RuntimeProblem, match=r"No Spark answers at sc://localhost:1\b") as caught:
        get_session(Connect("sc://localhost:1/;token=secret"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["spark://host:7077", "localhost:15002", "sc://"])
def test_what_is_no_connect_url_is_refused(url: str) -> None:
    with pytest.raises(RuntimeProblem, match="not a Spark Connect URL"):
        Connect(url)


def test_delta_works(spark_server: ServerStatus, tmp_path_factory: pytest.TempPathFactory) -> None:
    table = str(tmp_path_factory.mktemp("lake") / "numbers")
    with session(Embedded()) as spark:
        spark.range(3).write.format("delta").save(table)
        source = "(SELECT id FROM range(5)) s ON t.id = s.id"
        merged = spark.sql(f"MERGE INTO delta.`{table}` t USING {source} WHEN NOT MATCHED THEN INSERT *")
        assert merged.collect()[0].num_inserted_rows == 2
        history = spark.sql(f"DESCRIBE HISTORY delta.`{table}` LIMIT 1").collect()
        assert history[0].operationMetrics["numTargetRowsInserted"] == "2"


def test_a_proxy_in_the_environment_does_not_come_between(spark_server: ServerStatus) -> None:
    proxied = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    code = "from airflow_ingest.runtime import session\nwith session() as s: print(s.sql('SELECT 1').head()[0])"
    done = subprocess.run([sys.executable, "-c", code], env=proxied, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "1", done.stderr


def test_importing_the_runtime_does_not_import_pyspark() -> None:
    code = "import sys, airflow_ingest.runtime; print('pyspark' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
