"""On a running Airflow: what a StatsD server, an OpenLineage file and a task's log file hold of a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import Office, Site

pytestmark = [pytest.mark.live, pytest.mark.slow]

OBSERVED = """
pipeline: observed
schedule: null
start_date: 2026-01-01
lake: ${LAKE_ROOT}/observed
retries: {attempts: 1}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/observed/orders.csv", format: csv, options: {header: true}}
    extract: {mode: full}
    silver: {columns: {id: int, day: date, amount: int}, keys: [id], load: overwrite}
  lost:
    source: {files: "${LANDING_ROOT}/observed/lost.csv", format: csv, options: {header: true}}
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
        (file,) = folder.glob(f"dag_id=observed/run_id={self.run_id}/task_id={task}/attempt=1.log")
        return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def seen(office: Office) -> Seen:
    site = office.site.within("observed")
    site.land("orders.csv", ORDERS)
    office.drop("observed", OBSERVED)
    run_id = site.airflow.api.trigger("observed").run_id
    site.over("observed", run_id)
    return Seen(site, run_id, office.packets, office.events)


def test_metrics_leave_the_processes_of_tasks(seen: Seen) -> None:
    table = "pipeline=observed,table=orders,layer=silver"

    assert f"airflow.ingest.loads,{table},status=loaded:1|c" in seen.packets
    assert f"airflow.ingest.rows,{table},outcome=rejected:1|c" in seen.packets
    assert f"airflow.ingest.reject_rate,{table}:0.333333|g" in seen.packets
    assert "airflow.ingest.loads,pipeline=observed,table=lost,layer=bronze,status=failed:1|c" in seen.packets


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
    unnamed = [
        line["event"] for line in lines[begun:] if (line.get("pipeline"), line.get("table")) != ("observed", table)
    ]
    assert unnamed == []
    ours = [line for line in lines if line["event"].startswith(task.split(".")[1])]
    assert [len(line["batch_id"]) for line in ours] == [16] * (table == "orders")


def test_openlineage_hears_of_every_step_from_the_processes_of_tasks(seen: Seen) -> None:
    told = [json.loads(line) for line in seen.events.read_text().splitlines()]
    ended = {event["job"]["name"]: event for event in told if event["eventType"] in ("COMPLETE", "FAIL")}
    lake = str(seen.site.lake)

    assert ended["observed.lost.ingest_bronze"]["eventType"] == "FAIL"
    assert [found["name"] for found in ended["observed.lost.ingest_bronze"]["outputs"]] == [f"{lake}/bronze/lost"]
    silver = ended["observed.orders.merge_silver"]["outputs"][0]
    assert silver["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert set(silver["facets"]) == {"schema", "version", "columnLineage"}
    assert [found["name"] for found in ended["observed.gold.takings"]["inputs"]] == [f"{lake}/silver/orders"]
