"""The DAG that looks after the tables of all pipelines of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from airflow_ingest.lakehouse.maintenance.retention import check_retention
from airflow_ingest.operators import MaintenanceOperator

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline

_FIRST_DAY = datetime(2026, 1, 1, tzinfo=timezone.utc)
_ABOUT = """\
Looks after the tables of every pipeline in this folder, one task each: files of a good size, sorted or clustered where
the pipeline says so, and none that only older versions need. No row changes, and loads go first.
"""


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """When and where tables are looked after.

    - `schedule`: what Airflow's DAG takes: a cron expression, a preset, a timetable, or None for by hand alone
    - `pool`: the Airflow pool of its tasks, which must exist; one that the pipelines' tasks share (`task: {pool: …}`)
      keeps maintenance and loads apart, and lets loads go first
    - `retain`: how long files that only older versions need are kept; left out, as each table's property says, and
      seven days at least
    - `dag_id`: the DAG's id; two loaders in one Airflow need two
    - `side_by_side`: how many pipelines are looked after at once
    """

    schedule: Any = "@daily"
    pool: str = "default_pool"
    retain: timedelta | None = None
    dag_id: str = "ingest_maintenance"
    side_by_side: int = 1

    def __post_init__(self) -> None:
        """Raises LakehouseError for a retention that is not safe."""
        check_retention(self.retain)


def upkeep(pipeline: Pipeline) -> dict[str, Any]:
    """What the task that looks after the tables of `pipeline` is made of, apart from the model, which is large."""
    from airflow_ingest.lakehouse.maintenance.targets import targets_of

    return {
        "task_id": pipeline.pipeline,
        "pipeline": pipeline.pipeline,
        "lake": pipeline.lake,
        "targets": [target.model_dump(exclude_defaults=True) for target in targets_of(pipeline)],
        "spark_conn_id": pipeline.spark.conn_id,
        "spark_conf": pipeline.spark.conf,
        "owner": pipeline.owner,
    }


def build_maintenance_dag(upkeeps: Iterable[dict[str, Any]], how: Maintenance) -> DAG:
    """The DAG of a task for every pipeline, named like it; `upkeeps` is what `upkeep` gives for each."""
    dag = DAG(
        how.dag_id,
        description="Optimises and vacuums the tables of all pipelines",
        schedule=how.schedule,
        start_date=_FIRST_DAY,
        catchup=False,
        max_active_runs=1,
        max_active_tasks=how.side_by_side,
        tags=["maintenance"],
        doc_md=_ABOUT,
    )
    last_in_the_pool: dict[str, Any] = {"pool": how.pool, "priority_weight": 0, "weight_rule": "absolute"}
    for arguments in upkeeps:
        MaintenanceOperator(dag=dag, retain=how.retain, **last_in_the_pool, **arguments)
    return dag
