"""The DAG that looks after every pipeline's tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.factory import Maintenance, load_dags
from airflow_ingest.lakehouse import LakehouseError
from tests.factory.conftest import SHARED, small

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

Bag = Callable[[], "DagBag"]


def test_each_pipeline_has_a_task_that_knows_its_tables(folder: Path, bag: Bag) -> None:
    gold = "  busy:\n    sql: SELECT day, id FROM silver.orders\n    optimize: {zorder_by: [id]}\n"
    (folder / "mill.yaml").write_text(small("mill", extra=gold))
    (folder / "bad.yaml").write_text("nonsense")

    dag = bag().dags["ingest_maintenance"]

    assert sorted(dag.task_ids) == ["mill", "shop"]
    task: Any = dag.get_task("mill")
    tables = {target["table"]: target for target in task.targets}
    assert {"bronze.raw", "bronze.orders", "silver.orders", "dlq.orders", "gold.per_day", "ops.ledger"} <= tables.keys()
    assert "silver.raw" not in tables
    assert tables["gold.busy"] == {"table": "gold.busy", "zorder_by": ("id",)}
    assert (task.pipeline, task.table, task.lake) == ("mill", "maintenance", "./lake")


def test_by_itself_it_runs_daily_one_pipeline_at_a_time_in_a_pool_that_is_always_there(folder: Path, bag: Bag) -> None:
    dag: Any = bag().dags["ingest_maintenance"]
    task: Any = dag.get_task("shop")

    assert dag.schedule == "@daily"
    assert (dag.catchup, dag.max_active_runs, dag.max_active_tasks) == (False, 1, 1)
    assert (task.pool, task.priority_weight, task.max_active_tis_per_dag) == ("default_pool", 0, 1)


def test_a_loader_says_when_and_where(folder: Path) -> None:
    how = Maintenance(schedule="@weekly", pool="spark", retain=timedelta(days=30), dag_id="tidy", side_by_side=3)
    dags: dict[str, Any] = dict(load_dags(folder, maintenance=how))

    task: Any = dags["tidy"].get_task("shop")
    assert (dags["tidy"].schedule, dags["tidy"].max_active_tasks) == ("@weekly", 3)
    assert (task.pool, task.retain) == ("spark", timedelta(days=30))
    assert sorted(load_dags(folder, maintenance=None, by_hand=None)) == ["shop"]


def test_a_retention_below_seven_days_is_refused_where_it_is_written() -> None:
    with pytest.raises(LakehouseError, match="Keep them for 7d"):
        Maintenance(retain=timedelta(hours=1))


def test_a_task_start_reads_its_own_pipeline_alone(folder: Path, bag: Bag, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    (folder / "bad.yaml").write_text("nonsense")
    (folder / "mill.yaml").write_text(small("mill"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "ingest_maintenance")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "mill")

    found = bag()

    assert list(found.dags) == ["ingest_maintenance"]
    assert list(found.dags["ingest_maintenance"].task_ids) == ["mill"]
    assert [name for name in read if name.endswith(".yaml")] == ["mill.yaml"]


def test_its_name_is_not_a_pipelines(folder: Path, bag: Bag) -> None:
    (folder / "ingest_maintenance.yaml").write_text(small("ingest_maintenance"))

    found = bag()

    assert list(found.import_errors) == ["ingest_maintenance.yaml"]
    assert "is the id of the DAG that looks after all tables" in found.import_errors["ingest_maintenance.yaml"]
    assert sorted(found.dags) == [*SHARED, "shop"]


def test_it_can_be_serialised(folder: Path, bag: Bag) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = bag().dags["ingest_maintenance"]

    assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("shop").task_type == "MaintenanceOperator"


def test_a_policy_that_refuses_it_hides_no_pipeline(folder: Path, bag: Bag) -> None:
    from airflow.exceptions import AirflowClusterPolicyViolation
    from airflow.policies import hookimpl
    from airflow.settings import get_policy_plugin_manager

    class NoMaintenance:
        @staticmethod
        @hookimpl
        def dag_policy(dag: Any) -> None:
            if "maintenance" in dag.tags:
                raise AirflowClusterPolicyViolation("not here")

    manager = get_policy_plugin_manager()
    plugin = manager.register(NoMaintenance)
    try:
        found = bag()
    finally:
        manager.unregister(name=plugin)

    assert sorted(found.dags) == ["ingest_dlq_replay", "ingest_held_batches", "shop"]
    assert "not here" in found.import_errors["ingest_maintenance"]
