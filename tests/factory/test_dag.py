"""The DAG that a pipeline becomes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from tests.factory.conftest import small

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_ingest.testing.airflow_home import MakeContext

Build = Callable[..., "DAG"]
GOLDEN = {
    # task: (class, upstream, trigger rule, outlets)
    "orders.wait_for_source": ("SourceFileSensor", [], "all_success", []),
    "orders.ingest_bronze": (
        "BronzeIngestOperator", ["orders.wait_for_source"], "all_success", ["shop.bronze.orders"],
    ),
    "orders.has_pending_batches": ("PendingBatchesOperator", ["orders.ingest_bronze"], "all_success", []),
    "orders.quality_gate": ("QualityGateOperator", ["orders.has_pending_batches"], "all_success", []),
    "orders.hold_batch": ("HoldBatchOperator", ["orders.quality_gate"], "all_success", []),
    "orders.merge_silver": ("SilverMergeOperator", ["orders.quality_gate"], "all_success", ["shop.silver.orders"]),
    "raw.ingest_bronze": ("BronzeIngestOperator", [], "all_success", ["shop.bronze.raw"]),
    "gold.per_day": ("GoldAggregateOperator", ["orders.merge_silver"], "none_failed", ["shop.gold.per_day"]),
    "record_run": (
        "RecordRunOperator",
        [
            "gold.per_day", "orders.has_pending_batches", "orders.hold_batch", "orders.ingest_bronze",
            "orders.merge_silver", "orders.quality_gate", "orders.wait_for_source", "raw.ingest_bronze",
        ],
        "all_done_setup_success",
        [],
    ),
}  # fmt: skip


def test_the_structure(build: Build) -> None:
    dag = build(small())

    assert {
        task.task_id: (
            type(task).__name__,
            sorted(task.upstream_task_ids),
            task.trigger_rule.value,
            [asset.name for asset in task.outlets],
        )
        for task in dag.tasks
    } == GOLDEN
    assert sorted(dag.task_group.children) == ["gold", "orders", "raw", "record_run"]


def test_the_gate_leads_to_merge_or_hold(build: Build) -> None:
    gate: Any = build(small()).get_task("orders.quality_gate")

    assert (gate.publish_task_id, gate.hold_task_id) == ("orders.merge_silver", "orders.hold_batch")


def test_the_circuit_breaker_stands_before_all_tasks(build: Build) -> None:
    dag = build(small(extra="circuit_breaker: {failures: 2}"))

    check: Any = dag.get_task("check_circuit")
    assert check.downstream_task_ids == {"orders.wait_for_source", "raw.ingest_bronze"}
    assert check.breaker.failures == 2
    assert dag.get_task("record_run").is_teardown
    assert not dag.get_task("record_run").on_failure_fail_dagrun


def test_a_gate_on_bronze_leads_nowhere(build: Build) -> None:
    gate: Any = build(small().replace("mode: full}", "mode: full}\n    quality: {max_reject_rate: 1%}")).get_task(
        "raw.quality_gate"
    )

    assert (gate.publish_task_id, gate.hold_task_id, gate.downstream_task_ids) == (None, None, {"record_run"})


def test_a_profile_stands_below_its_table_and_nothing_below_it(build: Build) -> None:
    text = small().replace("keys: [id]", "keys: [id]\n      profile: true")
    dag = build(text.replace("partition_by: [day]", "partition_by: [day]\n    profile: true"))
    silver: Any = dag.get_task("orders.profile")
    gold: Any = dag.get_task("gold.per_day.profile")

    assert [(task.upstream_task_ids, task.downstream_task_ids) for task in (silver, gold)] == [
        ({"orders.merge_silver"}, {"record_run"}),
        ({"gold.per_day"}, {"record_run"}),
    ]
    assert [(task.layer, task.table, task.retries) for task in (silver, gold)] == [
        ("silver", "orders", 2),
        ("gold", "per_day", 2),
    ]
    assert sorted(dag.task_group.children) == ["gold", "orders", "raw", "record_run"]


def test_retries_count_the_first_try(build: Build) -> None:
    dag = build(small(extra="retries: {attempts: 4, delay: 5s, max_delay: 2m}\nowner: ann\n"))
    task = dag.get_task("orders.merge_silver")

    assert (task.retries, task.retry_delay, task.max_retry_delay) == (3, timedelta(seconds=5), timedelta(minutes=2))
    assert task.retry_exponential_backoff == 2.0
    assert {each.owner for each in dag.tasks} == {"ann"}
    assert dag.get_task("orders.hold_batch").retries == 0


def test_the_sensor_frees_its_slot(build: Build) -> None:
    sensor: Any = build(small()).get_task("orders.wait_for_source")

    assert (sensor.mode, sensor.timeout, sensor.poke_interval) == ("reschedule", 3600, 30)


def test_the_lines_of_a_sensor_name_the_table_that_waits(build: Build, make_context: MakeContext) -> None:
    sensor: Any = build(small()).get_task("orders.wait_for_source")

    with bound_contextvars(pipeline="", table="", batch_id="", run_id=""):
        sensor.pre_execute(make_context(sensor))
        named = get_contextvars()

    assert (named["pipeline"], named["table"], named["run_id"]) == ("shop", "orders", "scheduled__1")


def test_the_environment_stays_out_of_what_airflow_shows_of_the_dag(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_SECRET", "s3://key:hunter2@bucket")
    dag = build(small(extra="description: Orders of ${LAKE_SECRET}\n"))

    shown = f"{dag.doc_md} {dag.description} {dag.tags} {dag.owner}"

    assert "hunter2" not in shown
    assert "| orders | csv | interval, 1 rules, merge on id |" in shown
    assert "| gold.per_day | silver.orders | replace |" in shown


def test_airflow_shows_where_each_table_comes_from(build: Build) -> None:
    others = """\
  customers: {source: {jdbc: {conn_id: db, table: customers}}, extract: {mode: full}}
  sales: {source: {delta: {table: silver.sales}}, extract: {mode: incremental}}
"""
    shown = str(build(small().replace("tables:\n", f"tables:\n{others}")).doc_md)

    assert "| orders | csv |" in shown
    assert "| customers | jdbc | full, bronze alone |" in shown
    assert "| sales | delta | incremental, bronze alone |" in shown


def test_building_twice_gives_the_same_version(build: Build) -> None:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    first, second = (DagSerialization.to_dict(build(small(extra="tags: [a, b, c]\n"))) for _ in range(2))

    assert json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert len({SerializedDagModel.hash(data) for data in (first, second)}) == 1  # type: ignore[no-untyped-call]


def test_further_arguments_reach_airflow(build: Build) -> None:
    for_dag = "dag: {end_date: 2013-01-31, dagrun_timeout: 6h, max_active_tasks: 3}\n"
    dag = build(small(extra=f"{for_dag}task: {{pool: spark, execution_timeout: 2h}}\n"))

    assert dag.end_date == datetime(2013, 1, 31, tzinfo=timezone.utc)
    assert (dag.dagrun_timeout, dag.max_active_tasks) == (timedelta(hours=6), 3)
    assert {(task.pool, task.execution_timeout) for task in dag.tasks} == {("spark", timedelta(hours=2))}


def interval(dag: DAG, day: datetime) -> tuple[str, str]:
    from airflow.serialization.encoders import coerce_to_core_timetable

    found = coerce_to_core_timetable(dag.timetable).infer_manual_data_interval(run_after=pendulum.instance(day))
    return found.start.isoformat(), found.end.isoformat()


def test_a_cron_schedule_has_data_intervals_with_a_length(build: Build) -> None:
    from airflow.sdk import CronDataIntervalTimetable

    dag = build(small())

    assert isinstance(dag.timetable, CronDataIntervalTimetable)
    assert interval(dag, datetime(2013, 1, 6, tzinfo=timezone.utc)) == (
        "2013-01-05T00:00:00+00:00",
        "2013-01-06T00:00:00+00:00",
    )


def test_intervals_follow_the_pipelines_time_zone(build: Build) -> None:
    dag = build(small(extra="timezone: Europe/Berlin\n"))

    assert interval(dag, datetime(2013, 1, 6, 12, tzinfo=timezone.utc)) == (
        "2013-01-04T23:00:00+00:00",
        "2013-01-05T23:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("schedule", "timetable"),
    [
        pytest.param("null", "NullTimetable", id="none"),
        pytest.param('"@once"', "OnceTimetable", id="once"),
        pytest.param('"@continuous"', "ContinuousTimetable", id="continuous"),
        pytest.param('"30 6 * * 1-5"', "CronDataIntervalTimetable", id="cron"),
    ],
)
def test_other_schedules(build: Build, schedule: str, timetable: str) -> None:
    text = small().replace('schedule: "@daily"', f"schedule: {schedule}")
    text = text.replace("    wait:", "    extract: {mode: full}\n    wait:").replace("{{ ds }}", "all")

    assert type(build(text).timetable).__name__ == timetable


def test_the_examples_models_come_back_whole_from_the_operators() -> None:
    """Operators keep a table's model as JSON until a task runs."""
    from pathlib import Path

    from airflow_ingest.config import load_pipeline
    from airflow_ingest.factory.loader import load_dag

    file = Path(__file__).parents[2] / "dags" / "flights.yaml"
    pipeline, dag = load_pipeline(file), load_dag(file)

    for name, table in pipeline.tables.items():
        merge: Any = dag.get_task(f"{name}.merge_silver")
        assert merge.spec.model == table
    for name, gold in pipeline.gold.items():
        task: Any = dag.get_task(f"gold.{name}")
        assert task.spec.model == gold
