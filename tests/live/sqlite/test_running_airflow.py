"""The demonstration's path on a running Airflow, with small files."""

from datetime import datetime, timezone

import pytest

from airflow_ingest.lakehouse import Lake
from airflow_ingest.testing import BrokenFile, DagRun
from tests.live.conftest import Site

pytestmark = [pytest.mark.live]

SHOP = """
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: ${LAKE_ROOT}/shop
retries: {attempts: 1}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/shop/orders/{{ ds }}.csv", format: csv, options: {header: true}}
    extract: {mode: interval}
    wait: {timeout: 1m, poll: 5s}
    silver:
      columns: {id: int, day: date, amount: int}
      keys: [id]
      sequence_by: [day]
    quality:
      max_reject_rate: 50%
      rules:
        - {name: has_amount, expect: "amount > 0"}
gold:
  takings:
    sql: SELECT day, sum(amount) AS amount FROM silver.orders GROUP BY day
    load: replace
    partition_by: [day]
"""
BAD = """
pipeline: bad
schedule: "@daily"
start_date: 2026-01-01
lake: ${LAKE_ROOT}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders.csv", format: csv}
    extract: {mode: full}
    silvr: {keys: [id]}
"""
DAYS = {
    "2026-01-01": "id,day,amount\n1,2026-01-01,10\n2,2026-01-01,-5\n3,2026-01-01,30\n",
    "2026-01-02": "id,day,amount\n1,2026-01-02,11\n4,2026-01-02,many\n5,2026-01-02,7\n",
}


def _backfilled(site: Site) -> list[DagRun]:
    airflow = site.airflow
    first, last = (datetime.fromisoformat(day).replace(tzinfo=timezone.utc) for day in (min(DAYS), max(DAYS)))
    airflow.api.backfill("shop", first, last)
    airflow.api.unpause("shop")
    runs = site.over("shop")
    assert [(run.run_type, run.state) for run in runs] == [("backfill", "success")] * 2, site.failures("shop")
    return runs


def _broken(site: Site) -> list[BrokenFile]:
    return [broken for broken in site.airflow.api.import_errors() if broken.file.endswith("bad.yaml")]


def test_dropped_files_run_or_tell_what_is_wrong_without_a_restart(site: Site) -> None:
    site = site.within("shop")
    for day, text in DAYS.items():
        site.land(f"orders/{day}.csv", text)
    site.drop("shop.yaml", SHOP)
    site.drop("bad.yaml", BAD)

    site.airflow.wait_for(lambda: "shop" in site.airflow.api.dags(), timeout=120, what="the good file's DAG")
    site.airflow.wait_for(lambda: bool(_broken(site)), timeout=120, what="the bad file's import error")
    (broken,) = _broken(site)
    assert "bad.yaml:10:5: tables.orders.silvr" in broken.message
    assert "silver" in broken.message
    dags = set(site.airflow.api.dags())
    assert dags >= {"ingest_dlq_replay", "ingest_held_batches", "ingest_maintenance", "shop"}
    assert "bad" not in dags

    runs = _backfilled(site)

    ingested, gates, merged = (
        [site.airflow.api.xcom("shop", run.run_id, task) for run in runs]
        for task in ("orders.ingest_bronze", "orders.quality_gate", "orders.merge_silver")
    )
    assert [load["rows"]["read"] for load in ingested] == [3, 3]
    assert [sum(gate["rows"]["rejected"] for gate in found) for found in gates] == [1, 1]
    assert [(load["rows"]["inserted"], load["rows"]["updated"]) for load in merged] == [(2, 0), (1, 1)]

    lake = Lake(str(site.lake), "shop")
    with site.airflow.spark() as spark:
        silver = spark.read.format("delta").load(lake.silver("orders")).select("id", "amount")
        gold = spark.read.format("delta").load(lake.gold("takings")).selectExpr("cast(day AS string)", "amount")
        assert sorted(map(tuple, silver.collect())) == [(1, 11), (3, 30), (5, 7)]
        assert sorted(map(tuple, gold.collect())) == [("2026-01-01", 30), ("2026-01-02", 18)]

    site.drop("bad.yaml", SHOP.replace("pipeline: shop", "pipeline: bad"))
    site.airflow.wait_for(lambda: "bad" in site.airflow.api.dags(), timeout=120, what="the mended file's DAG")
    site.airflow.wait_for(lambda: not _broken(site), timeout=120, what="its import error to go")
