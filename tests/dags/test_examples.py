"""The DAG folder that a user copies, as Airflow loads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

DAGS = Path(__file__).parents[2] / "dags"


SHARED = ["ingest_dlq_replay", "ingest_held_batches", "ingest_maintenance"]


@pytest.fixture(scope="module")
def bag() -> DagBag:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(DAGS, bundle_path=DAGS)


def test_every_example_loads_without_error_or_warning(bag: DagBag) -> None:
    assert sorted(bag.dags) == ["example_operators", "flights", *SHARED]
    assert bag.import_errors == {}
    assert bag.captured_warnings == {}


def test_every_example_can_be_serialised(bag: DagBag) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in bag.dags.values():
        assert DagSerialization.from_dict(DagSerialization.to_dict(dag)).dag_id == dag.dag_id


def test_unpausing_an_example_starts_no_run_for_today(bag: DagBag) -> None:
    for name, dag in bag.dags.items():
        assert dag.catchup is False
        assert dag.end_date is not None or name in SHARED


def test_the_flights_pipeline(bag: DagBag) -> None:
    dag = bag.dags["flights"]

    groups = ["airlines", "airports", "flights", "gold", "planes", "weather"]
    assert sorted(dag.task_group.children.keys() - {"record_run"}) == groups
    ingest: Any = dag.get_task("flights.ingest_bronze")
    assert ingest.files.endswith("/flights/{{ ds }}.csv")
    assert dag.get_task("gold.daily_carrier").upstream_task_ids == {"flights.merge_silver"}
    assert dag.get_task("gold.weekly_carrier").upstream_task_ids == {"gold.daily_carrier"}


def test_the_operators_by_hand_cover_the_public_ones(bag: DagBag) -> None:
    from airflow_ingest import operators

    used = {type(task).__name__ for task in bag.dags["example_operators"].tasks}

    of_the_loader = {
        "CheckCircuitOperator",
        "DecideHeldOperator",
        "MaintenanceOperator",
        "RecordRunOperator",
        "ReplayLettersOperator",
        "SendAlertsOperator",
    }
    assert set(operators.__all__) - used == {"DlqReplayOperator", *of_the_loader}
