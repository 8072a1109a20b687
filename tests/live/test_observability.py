"""On a running Airflow: what a StatsD server, an OpenLineage file and a task's log file hold of a run."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.runtime import ServerStatus
from tests.live.conftest import Site, running

pytestmark = [pytest.mark.live, pytest.mark.slow]

SHOP = """
pipeline: shop
schedule: null
start_date: 2026-01-01
lake: ${LAKE_ROOT}
retries: {attempts: 1}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders.csv", format: csv, options: {header: true}}
    extract: {mode: full}
    silver: {columns: {id: int, day: date, amount: int}, keys: [id], load: overwrite}
  lost:
    source: {files: "${LANDING_ROOT}/lost.csv", format: csv, options: {header: true}}
    extract: {mode: full}
gold:
  takings:
    sql: SELECT day, sum(amount) AS amount FROM silver.orders GROUP BY day
"""
ORDERS = "id,day,amount\n1,2026-01-01,10\n2,2026-01-01,many\n3,2026-01-01,30\n"


@dataclass(frozen=True)
class Seen:
    """What the outside has seen of one run."""

    site: Site
    run_id: str
    packets: list[str]
    events: Path

    def log(self, task: str) -> list[dict[str, Any]]:
        """The lines of the task's log file."""
        folder = self.site.airflow.home / "logs" / "tasks"
        (file,) = folder.glob(f"dag_id=shop/run_id={self.run_id}/task_id={task}/attempt=1.log")
        return [json.loads(line) for line in file.read_text().splitlines()]


@contextmanager
def udp_server() -> Iterator[tuple[int, list[str]]]:
    """A port and the packets that come to it."""
    packets: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.5)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    packets.append(server.recv(65_536).decode())
                except TimeoutError:
                    continue

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield server.getsockname()[1], packets
        finally:
            over.set()
            thread.join()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("observed")
    events = folder / "events.ndjson"
    transport = {"type": "file", "log_file_path": str(events), "append": True}
    with udp_server() as (port, packets):
        settings = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        }
        with running(folder, env=settings, schedule=False) as site:
            site.land("orders.csv", ORDERS)
            site.drop("shop.yaml", SHOP)
            api = site.airflow.api
            site.airflow.wait_for(lambda: "shop" in api.dags(), timeout=60, what="the DAG")
            api.unpause("shop")
            api.trigger("shop")
            site.airflow.wait_for(lambda: all(run.finished for run in api.runs("shop")), timeout=240, what="the run")
            (run,) = api.runs("shop")
            yield Seen(site, run.run_id, packets, events)


def test_metrics_leave_the_processes_of_tasks(seen: Seen) -> None:
    table = "pipeline=shop,table=orders,layer=silver"

    assert f"airflow.ingest.loads,{table},status=loaded:1|c" in seen.packets
    assert f"airflow.ingest.rows,{table},outcome=rejected:1|c" in seen.packets
    assert f"airflow.ingest.reject_rate,{table}:0.333333|g" in seen.packets
    assert "airflow.ingest.loads,pipeline=shop,table=lost,layer=bronze,status=failed:1|c" in seen.packets


@pytest.mark.parametrize(
    ("task", "table"),
    [("orders.ingest_bronze", "orders"), ("orders.merge_silver", "orders"), ("lost.ingest_bronze", "lost")],
)
def test_every_line_of_a_tasks_log_file_from_its_start_on_says_what_it_is_about(
    seen: Seen, task: str, table: str
) -> None:
    lines = seen.log(task)
    begun = next(n for n, line in enumerate(lines) if "table" in line)

    assert all(line["run_id"] == seen.run_id for line in lines[begun:])
    unnamed = [line["event"] for line in lines[begun:] if (line.get("pipeline"), line.get("table")) != ("shop", table)]
    assert unnamed == []
    ours = [line for line in lines if line["event"].startswith(task.split(".")[1])]
    assert [len(line["batch_id"]) for line in ours] == [16] * (table == "orders")


def test_openlineage_hears_of_every_step_from_the_processes_of_tasks(seen: Seen) -> None:
    told = [json.loads(line) for line in seen.events.read_text().splitlines()]
    ended = {event["job"]["name"]: event for event in told if event["eventType"] in ("COMPLETE", "FAIL")}
    lake = str(seen.site.lake)

    assert ended["shop.lost.ingest_bronze"]["eventType"] == "FAIL"
    assert [found["name"] for found in ended["shop.lost.ingest_bronze"]["outputs"]] == [f"{lake}/bronze/lost"]
    silver = ended["shop.orders.merge_silver"]["outputs"][0]
    assert silver["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert set(silver["facets"]) == {"schema", "version", "columnLineage"}
    assert [found["name"] for found in ended["shop.gold.takings"]["inputs"]] == [f"{lake}/silver/orders"]
