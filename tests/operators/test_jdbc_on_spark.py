"""`BronzeIngestOperator` on a real Postgres, through an Airflow connection whose password shows nowhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.postgres import PASSWORD, Postgres

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.runtime import ServerStatus
    from airflow_ingest.testing.airflow_home import MakeContext

pytestmark = [pytest.mark.spark, pytest.mark.airflow]

DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
SHOP = """
DROP TABLE IF EXISTS by_operator;
CREATE TABLE by_operator (id int, note text, updated_at timestamptz);
INSERT INTO by_operator VALUES (1, 'one', '2026-01-01 08:00:00+00'), (2, 'two', '2026-01-01 20:00:00+00');
"""
NEWS = """
UPDATE by_operator SET note = 'uno', updated_at = '2026-01-02 09:00:00+00' WHERE id = 1;
INSERT INTO by_operator VALUES (3, 'three', '2026-01-02 10:00:00+00');
"""
INCREMENTAL = {"mode": "incremental", "cursor": "updated_at"}

Load = Callable[..., dict[str, Any]]


@pytest.fixture
def secrets(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The password of the connection `shop_db`, in both spellings; the database holds SHOP."""
    postgres.run(SHOP)
    encoded = quote(PASSWORD, safe="")
    uri = f"postgres://{postgres.user}:{encoded}@127.0.0.1:{postgres.port}/postgres"
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", uri)
    return PASSWORD, encoded


@pytest.fixture
def told(
    secrets: tuple[str, str],
    spark_server: ServerStatus,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Callable[[object], None]]:
    """Takes down what a load says; in the end the password is in none of it, nor in a log, nor in the lake's."""
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    yield lambda what: said.append(str(what))
    files = [*tmp_path.glob("lake/**/_delta_log/*.json"), *spark_server.log.parent.glob("server.*")]
    said += [caplog.text, *capfd.readouterr(), *(file.read_text(errors="replace") for file in files)]
    assert not any(secret in text for text in said for secret in secrets)


@pytest.fixture
def load(make_context: MakeContext, told: Callable[[object], None], tmp_path: Path) -> Load:
    """Executes the operator as a scheduled run of a day, and gives what goes into XCom."""
    from airflow.sdk import DAG

    from airflow_ingest.operators import BronzeIngestOperator

    def execute(extract: dict[str, Any], day: int = 0, table: str = "by_operator") -> dict[str, Any]:
        jdbc = {"conn_id": "shop_db", "table": f"public.{table}"}
        spec = {"source": {"jdbc": jdbc}, "extract": extract, "silver": {"keys": ["id"]}}
        with DAG("shop"):
            ingest = BronzeIngestOperator(task_id="ingest", lake=str(tmp_path / "lake"), table="orders", spec=spec)
        start = DAY + timedelta(days=day)
        context: Any = make_context(ingest, interval=(start, start + timedelta(days=1)))
        context["dag_run"].run_id = f"scheduled__{start:%Y-%m-%d}"
        ingest.render_template_fields(context)
        try:
            result = ingest.execute(context)
        except Exception as error:
            told(repr(error))
            raise
        told(json.dumps(result, default=str))
        return result

    return execute


def bronze(spark: SparkSession, folder: Path) -> list[tuple[Any, ...]]:
    rows = spark.read.format("delta").load(f"{folder}/lake/bronze/orders").select("id", "note").collect()
    return sorted(map(tuple, rows))


@pytest.mark.slow
def test_a_table_in_full_is_loaded_once_per_run(load: Load, spark: SparkSession, tmp_path: Path) -> None:
    for _ in range(2):
        result = load({"mode": "full"})
        assert (result["status"], result["rows"]["read"]) == ("loaded", 2)
        assert [batch["id"] for batch in result["pending"]] == [result["batch"]["id"]]
        assert bronze(spark, tmp_path) == [(1, "one"), (2, "two")]


@pytest.mark.slow
def test_increments_go_on_where_the_last_run_ended(
    load: Load, postgres: Postgres, spark: SparkSession, tmp_path: Path
) -> None:
    first = load(INCREMENTAL)
    assert (first["rows"]["read"], first["watermark_to"]) == (2, "2026-01-01T20:00:00Z")

    postgres.run(NEWS)
    second = load(INCREMENTAL, day=1)

    assert (second["rows"]["read"], second["watermark_from"]) == (2, first["watermark_to"])
    assert second["watermark_to"] == "2026-01-02T10:00:00Z"
    assert [batch["id"] for batch in second["pending"]] == [each["batch"]["id"] for each in (first, second)]
    assert bronze(spark, tmp_path) == [(1, "one"), (1, "uno"), (2, "two"), (3, "three")]


def test_what_is_wrong_is_one_sentence(load: Load, monkeypatch: pytest.MonkeyPatch, postgres: Postgres) -> None:
    from airflow_ingest.config import IngestError

    with pytest.raises(IngestError, match=r'relation "public[.]nowhere" does not exist') as caught:
        load({"mode": "full"}, table="nowhere")
    assert "JVM" not in str(caught.value)

    monkeypatch.setenv(
        "AIRFLOW_CONN_SHOP_DB", f"postgres://nobody:{quote(PASSWORD, safe='')}@127.0.0.1:{postgres.port}/x"
    )
    with pytest.raises(IngestError, match='password authentication failed for user "nobody"'):
        load({"mode": "full"})
