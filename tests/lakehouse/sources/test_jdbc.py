"""Tables of a real Postgres on their way into bronze and silver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest._databases import database_without_airflow
from airflow_ingest.config import Jdbc, Table
from airflow_ingest.lakehouse import Database, LakehouseError, LoadResult, ingest_bronze
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.sources.jdbc import Rows
from airflow_ingest.runtime import ServerStatus
from tests.lakehouse.conftest import Workbench, run
from tests.postgres import PASSWORD, Postgres

pytestmark = pytest.mark.spark

SHOP = """
DROP TABLE IF EXISTS "Orders";
CREATE TABLE "Orders" (
    id int, "Total" numeric(10, 2), note text, placed date, local timestamp, updated_at timestamptz, secret text,
    code char(3)
);
INSERT INTO "Orders" VALUES
    (1, 10.50, 'naïve ☃ ''quoted''', '2026-01-01', '2026-01-01 08:00:00.123456', '2026-01-01 10:00:00+00', 'x', 'abc'),
    (2, NULL, NULL, NULL, NULL, '2026-01-01 23:59:59.999999+00', 'x', NULL),
    (3, 99999999.99, '', '2026-01-02', '2026-01-02 00:00:00', '2026-01-02 00:00:00+00', 'x', 'a'),
    (NULL, 4, 'no id', '2026-01-03', '2026-01-03 00:00:00', '2026-01-02 12:00:00+00', 'x', 'b');
"""
COLUMNS = ["id", "Total", "note", "placed", "local", "updated_at"]


@pytest.fixture
def shop(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The database with SHOP in it, as the environment's connection describes it."""
    postgres.run(SHOP)
    uri = f"postgres://{postgres.user}:s3cr3t%3Ap%40ss%2Fw%25rd@127.0.0.1:{postgres.port}/postgres"
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", uri)
    return database_without_airflow(Jdbc(conn_id="shop_db", table="x"))


@pytest.fixture
def ingest(bench: Workbench, shop: Database) -> Callable[..., LoadResult]:
    def load(table: Table, day: int = 1, kind: Any = "live", name: str = "orders", run_id: str = "") -> LoadResult:
        who = run(day, kind)
        who = who.model_copy(update={"run_id": run_id}) if run_id else who
        return ingest_bronze(bench.spark, bench.lake, name, table, who, database=shop)

    return load


def orders(extract: dict[str, Any], silver: dict[str, Any] | None = None, **jdbc: Any) -> Table:
    source = {"conn_id": "shop_db", **({} if "query" in jdbc else {"table": "public.Orders"}), **jdbc}
    spec = {"source": {"jdbc": source}, "extract": extract}
    return Table.model_validate({**spec, **({"silver": silver} if silver else {})})


def test_a_table_in_full_keeps_types_and_is_read_in_parallel_and_pushed_down(
    bench: Workbench, shop: Database, ingest: Callable[..., LoadResult]
) -> None:
    parallel: dict[str, Any] = {"partition_column": "id", "partitions": 2, "fetch_size": 2}
    full = orders({"mode": "full"}, columns=COLUMNS, where="note IS DISTINCT FROM 'gone' -- a remark", **parallel)
    loaded = ingest(full)
    assert loaded.rows.read == 4
    origin = ("jdbc", "shop_db:public.Orders")
    updated = bench.spark.read.format("delta").load(bench.lake.bronze("orders")).schema["updated_at"].dataType
    assert updated.simpleString() == "timestamp"
    assert bench.rows(bench.lake.bronze("orders"), *COLUMNS[:-1], "_source_system", "_source_file") == sorted(
        [
            (1, Decimal("10.50"), "naïve ☃ 'quoted'", date(2026, 1, 1), datetime(2026, 1, 1, 8, 0, 0, 123456), *origin),
            (2, None, None, None, None, *origin),
            (3, Decimal("99999999.99"), "", date(2026, 1, 2), datetime(2026, 1, 2), *origin),
            (None, Decimal("4.00"), "no id", date(2026, 1, 3), datetime(2026, 1, 3), *origin),
        ],
        key=repr,
    )
    assert loaded.batch
    assert full.source.jdbc
    rows = Rows(full.source.jdbc, full.extract, shop).read(bench.spark, loaded.batch)
    plan = rows._explain_string(extended=True)  # type: ignore[operator]
    assert "numPartitions=2" in plan
    assert 'SELECT "id", "Total", "note", "placed", "local", "updated_at" FROM "public"."Orders" WHERE' in plan
    assert "IS DISTINCT FROM 'gone'" in plan
    assert PASSWORD not in plan
    log = Path(bench.lake.bronze("orders"), "_delta_log").glob("*.json")
    assert PASSWORD not in "".join(file.read_text() for file in log)
    again = ingest(full)
    assert len(bench.rows(bench.lake.bronze("orders"), "id")) == again.rows.read == 4


@pytest.mark.slow
def test_an_interval_of_a_query_is_replaced_and_never_doubled(
    bench: Workbench, postgres: Postgres, ingest: Callable[..., LoadResult]
) -> None:
    query = 'SELECT id, "Total" * 2 AS "double", updated_at FROM "Orders" -- all'
    table = orders({"mode": "interval", "cursor": "updated_at"}, query=query)
    bronze = bench.lake.bronze("orders")
    assert ingest(table, 1).rows.read == 2
    assert ingest(table, 2).rows.read == 2
    postgres.run('DELETE FROM "Orders" WHERE id = 1')
    assert ingest(table, 1, "backfill").rows.read == 1
    assert [row[0] for row in bench.rows(bronze, "id")] == [2, 3, None]
    empty = ingest(table, 3)
    assert (empty.status, empty.rows.read) == ("loaded", 0)


@pytest.mark.slow
def test_where_the_log_was_cleaned_up_the_rows_tell_the_watermark(
    bench: Workbench, postgres: Postgres, ingest: Callable[..., LoadResult]
) -> None:
    table, bronze = orders({"mode": "incremental", "cursor": "updated_at"}), bench.lake.bronze("orders")
    newest = ingest(table).watermark_to
    postgres.run("INSERT INTO \"Orders\" (id, updated_at) VALUES (7, '2026-01-07 10:00:00+00')")
    assert ingest(table, 7, "backfill").rows.read == 1  # ahead of the watermark
    properties = "'delta.checkpointInterval' = '1', 'note' = '{}'"
    for note in range(2):
        bench.spark.sql(f"ALTER TABLE delta.`{bronze}` SET TBLPROPERTIES ({properties.format(note)})")
    log = Path(bronze, "_delta_log")
    for file in sorted(log.glob("*.json"))[:-1]:
        file.unlink()
    postgres.run("INSERT INTO \"Orders\" (id, updated_at) VALUES (6, '2026-01-06 10:00:00+00')")
    for _ in range(2):
        following = ingest(table, 8)
        assert (following.watermark_from, following.rows.read) == (newest, 2)
    assert ingest(table, 9).rows.read == 0


def test_increments_follow_the_watermark_and_the_lookback_finds_what_was_committed_late(
    bench: Workbench, postgres: Postgres, ingest: Callable[..., LoadResult]
) -> None:
    columns = {"id": "int", "note": "string", "updated_at": "timestamp"}
    table = orders(
        {"mode": "incremental", "cursor": "updated_at", "lookback": "10m"},
        {"columns": columns, "keys": ["id"], "sequence_by": ["updated_at"]},
        where="id IS NOT NULL",
    )
    first = ingest(table)
    assert (first.rows.read, first.watermark_from) == (3, None)
    assert first.watermark_to == datetime(2026, 1, 2, tzinfo=timezone.utc)
    bench.merge(table, bench.gate(table, first))
    postgres.run(
        """INSERT INTO "Orders" (id, note, updated_at) VALUES (5, 'late', '2026-01-01 23:55:00+00');
           UPDATE "Orders" SET note = 'new', updated_at = '2026-01-03 10:00:00+00' WHERE id = 1;"""
    )
    second = ingest(table, 2)
    assert second.rows.read == 4  # 1 is new, 5 came late, 2 and 3 lie in the lookback
    assert second.watermark_from == datetime(2026, 1, 2, tzinfo=timezone.utc)
    bench.merge(table, bench.gate(table, second, 2), 2)
    assert bench.rows(bench.lake.silver("orders"), "id", "note") == [(1, "new"), (2, None), (3, ""), (5, "late")]

    retried = ingest(table, 2)
    assert retried.batch
    assert second.batch
    assert (retried.batch.id, retried.batch.range, retried.rows.read) == (second.batch.id, second.batch.range, 4)
    assert len(bench.rows(bench.lake.bronze("orders"), "id")) == 3 + 4
    backfilled = ingest(table, 1, "backfill")
    assert backfilled.rows.read == 2  # 2 and 5; 1 has moved on
    nothing = ingest(table, 3)
    assert nothing.batch
    assert nothing.batch.range
    assert (nothing.rows.read, nothing.batch.range.since) == (1, "2026-01-03 10:00:00.000000+00:00")
    versions = [
        commit.metadata["batch"]["transaction"] for commit in history(bench.spark, bench.lake.bronze("orders"), 5)
    ]
    assert versions == [4, None, 3, 2, 1]


@pytest.mark.slow
def test_of_two_runs_that_plan_the_same_rows_one_plans_again(
    bench: Workbench, ingest: Callable[..., LoadResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = orders({"mode": "incremental", "cursor": "id", "lookback": 1}, columns=["id", "note"])
    read = Rows.read
    started, others = list[Any](), list[LoadResult]()

    def overtaken(self: Rows, spark: Any, batch: Any) -> Any:
        rows = read(self, spark, batch)
        started.append(batch)
        if len(started) == 1:
            others.append(ingest(table, run_id="quicker"))
        return rows

    monkeypatch.setattr(Rows, "read", overtaken)
    slower = ingest(table, run_id="slower")
    assert slower.batch
    assert slower.batch.range
    assert others[0].batch
    assert (others[0].batch.transaction, others[0].rows.read) == (1, 3)
    assert (slower.batch.transaction, slower.batch.range.low, slower.batch.range.high) == (2, "2", "3")
    assert [row[0] for row in bench.rows(bench.lake.bronze("orders"), "id")] == [1, 2, 3, 3]
    skipped = ingest(table, kind="backfill", run_id="backfill")
    assert skipped.status == "skipped"
    assert "counts and has no intervals" in skipped.reason


def test_what_is_wrong_is_told_without_the_password(
    bench: Workbench, shop: Database, spark_server: ServerStatus
) -> None:
    def said(table: Table, database: Database = shop) -> str:
        with pytest.raises(LakehouseError) as caught:
            ingest_bronze(bench.spark, bench.lake, "orders", table, run(1), database=database)
        assert PASSWORD not in str(caught.value)
        assert caught.value.__suppress_context__ or not caught.value.__context__
        return str(caught.value)

    full: dict[str, Any] = {"mode": "full"}
    missing = said(orders(full, table="nowhere"))
    assert 'relation "nowhere" does not exist' in missing
    assert "(connection 'shop_db') cannot be read" in missing
    assert len(missing.splitlines()) == 1
    wrong = replace(shop, properties={**shop.properties, "password": f"{PASSWORD}!"})
    assert "password authentication failed" in said(orders(full), wrong)
    assert "refused" in said(orders(full), replace(shop, url="jdbc:postgresql://127.0.0.1:9/postgres"))
    assert "the column 'note' is a string" in said(orders({"mode": "interval", "cursor": "note"}))
    assert "is a number, and" in said(orders({"mode": "interval", "cursor": "id"}))
    assert not history(bench.spark, bench.lake.bronze("orders"), 1)
    for file in spark_server.log.parent.glob("server.*"):
        assert PASSWORD not in file.read_text(errors="replace")


@pytest.mark.slow
def test_a_run_that_begins_anew_reads_all_and_never_takes_the_watermark_back(
    bench: Workbench, postgres: Postgres, shop: Database, ingest: Callable[..., LoadResult]
) -> None:
    columns = {"id": "int", "updated_at": "timestamp"}
    silver = {"columns": columns, "keys": ["id"], "sequence_by": ["updated_at"]}
    table = orders({"mode": "incremental", "cursor": "updated_at"}, silver, where="id IS NOT NULL")
    ingest(table)
    postgres.run("""DELETE FROM "Orders" WHERE id = 3""")
    anew = run(2, "live").model_copy(update={"anew": True})

    loaded = ingest_bronze(bench.spark, bench.lake, "orders", table, anew, database=shop)

    assert loaded.rows.read == 2
    assert loaded.batch
    assert loaded.batch.watermark
    assert loaded.batch.watermark.value == "2026-01-02 00:00:00.000000+00:00"
