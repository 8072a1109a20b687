"""From connections to databases."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from airflow_ingest._databases import database_of, database_without_airflow
from airflow_ingest.config import IngestError, Jdbc
from airflow_ingest.lakehouse import Database


def _database(monkeypatch: pytest.MonkeyPatch, connection: str) -> Database:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", connection)
    return database_without_airflow(Jdbc(conn_id="shop", table="t"))


def test_a_postgres_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    found = _database(monkeypatch, "postgres://me:p%40ss%2Fw@db.example.com/shop?sslmode=require&cursor=x")
    assert found.url == "jdbc:postgresql://db.example.com:5432/shop"
    assert found.properties == {"user": "me", "password": "p@ss/w", "sslmode": "require"}
    assert "p@ss" not in repr(found)


def test_json_gives_the_same_as_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"conn_type": "postgres", "host": "::1", "port": "5433", "schema": "shop", "login": "me", "password": "x"}
    found = _database(monkeypatch, json.dumps({**said, "extra": {"connect_timeout": 3}}))
    assert found.url == "jdbc:postgresql://[::1]:5433/shop"
    assert found.properties["connectTimeout"] == "3"


def test_another_database_by_its_jdbc_url(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"conn_type": "jdbc", "host": "jdbc:mysql://root:geheim@db/shop?password=hidden&x=1", "login": "me"}
    found = _database(monkeypatch, json.dumps(said))
    assert found.driver == "com.mysql.cj.jdbc.Driver"
    assert found.quote("a`b") == "`a``b`"
    assert found.address == "jdbc:mysql://db/shop"
    assert found.scrubbed(f"cannot open {found.url}") == "cannot open jdbc:mysql://root:***@db/shop?password=***&x=1"


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        ("http://me:geheim@db", "has the type 'http', which is no database"),
        ("postgres://me:geheim@db:port/x", "AIRFLOW_CONN_SHOP is not a connection"),
        (
            '{"conn_type": "jdbc", "host": "jdbc:odd:x", "password": "geheim"}',
            "odd database, whose driver is not known",
        ),
    ],
    ids=["another type", "no URI", "unknown driver"],
)
def test_what_cannot_be_used_is_told_without_the_password(
    monkeypatch: pytest.MonkeyPatch, connection: str, message: str
) -> None:
    with pytest.raises(IngestError, match=message) as caught:
        _database(monkeypatch, connection)
    assert "geheim" not in str(caught.value)


@pytest.mark.airflow
def test_airflow_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "postgres://me:p%40ss%2Fw@db.example.com:5433/shop?sslmode=require")
    jdbc = Jdbc(conn_id="shop", table="t")
    assert database_of(jdbc) == database_without_airflow(jdbc)
    with pytest.raises(IngestError, match="There is no Airflow connection 'nowhere'"):
        database_of(Jdbc(conn_id="nowhere", table="t"))


def test_secrets_are_scrubbed_in_both_spellings() -> None:
    found = Database("shop", "jdbc:postgresql://db/x", {"user": "me", "password": "p@ss/w"}, "d")
    assert found.scrubbed("me: p@ss/w, p%40ss%2Fw") == "me: ***, ***"


def test_the_environments_connection_needs_no_airflow() -> None:
    code = """
import os, sys
os.environ["AIRFLOW_CONN_SHOP"] = "postgres://me:x@db/shop"
from airflow_ingest._databases import database_of, database_without_airflow
from airflow_ingest.config import Jdbc
database_without_airflow(Jdbc(conn_id="shop", table="t"))
print("airflow" in sys.modules, "pyspark" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False False"
