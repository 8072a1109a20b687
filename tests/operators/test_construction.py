"""What operators refuse to be built with, and that Airflow can serialise them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from airflow_ingest.config import ConfigError

TABLE: dict[str, Any] = {
    "source": {"files": "in/{{ ds }}.csv", "format": "csv", "options": {"header": True}},
    "silver": {"keys": ["id"], "columns": {"id": "int"}},
}
GOLD: dict[str, Any] = {"sql": "SELECT id, count(*) AS n FROM silver.t GROUP BY id"}
COMMON: dict[str, Any] = {"task_id": "x", "lake": "lake", "table": "t"}


def operator(name: str, **arguments: Any) -> Any:
    from airflow_ingest import operators

    return getattr(operators, name)(**{**COMMON, **arguments})


ALL = [
    pytest.param("BronzeIngestOperator", {"spec": TABLE}, id="bronze"),
    pytest.param("QualityGateOperator", {"spec": TABLE, "batches": [], "publish_task_id": "m"}, id="gate"),
    pytest.param("HoldBatchOperator", {"spec": TABLE, "outcomes": []}, id="hold"),
    pytest.param("SilverMergeOperator", {"spec": TABLE, "batches": []}, id="silver"),
    pytest.param("GoldAggregateOperator", {"spec": GOLD}, id="gold"),
    pytest.param("ProfileOperator", {"layer": "gold", "hidden": ["id"]}, id="profile"),
    pytest.param("DlqReplayOperator", {"spec": TABLE, "rule": "{{ params.rule }}", "fix": {"id": "1"}}, id="dlq"),
]


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_an_operator_takes_keywords_only(name: str, arguments: dict[str, Any]) -> None:
    from airflow_ingest import operators

    with pytest.raises(TypeError):
        getattr(operators, name)("x")
    with pytest.raises(TypeError, match="tabel"):
        operator(name, **arguments, tabel="t")


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_a_writing_task_never_runs_twice_at_once(name: str, arguments: dict[str, Any]) -> None:
    assert operator(name, **arguments).max_active_tis_per_dag == 1


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_default_args_reach_every_argument(name: str, arguments: dict[str, Any]) -> None:
    from airflow.sdk import DAG

    from airflow_ingest import operators

    with DAG("p", default_args={"lake": "s3://lake", "spark_conn_id": "far", "pool": "spark"}):
        built = getattr(operators, name)(task_id="x", table="t", **arguments)

    assert (built.lake, built.spark_conn_id, built.pool) == ("s3://lake", "far", "spark")


@pytest.mark.parametrize(("name", "arguments"), ALL)
def test_an_operator_survives_serialisation(name: str, arguments: dict[str, Any]) -> None:
    from airflow.sdk import DAG
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("p") as dag:
        operator(name, **arguments)

    data = DagSerialization.to_dict(dag)
    restored: Any = DagSerialization.from_dict(data).get_task("x")

    assert restored.task_type == name
    assert set(restored.template_fields) >= {"lake"}
    assert restored.lake == "lake"


@pytest.mark.parametrize(
    ("name", "arguments"), [case for case in ALL if case.id not in ("gold", "profile")], ids=lambda case: None
)
def test_a_mapping_is_checked_like_a_pipeline_file(name: str, arguments: dict[str, Any]) -> None:
    wrong = {**TABLE, "silver": {"keys": ["id"], "colums": {}}, "sources": {}}

    with pytest.raises(ConfigError) as caught:
        operator(name, **{**arguments, "spec": wrong})

    assert len(caught.value.mistakes) == 2
    assert 'tables.t: silver.colums: unknown key "colums"\n    Did you mean "columns"?' in str(caught.value)


def test_a_gold_mapping_is_checked_too() -> None:
    with pytest.raises(ConfigError, match="gold"):
        operator("GoldAggregateOperator", spec={"sql": "SELECT FROM"})


def test_a_model_is_taken_as_it_is() -> None:
    from airflow_ingest.config import parse_table

    table = parse_table(TABLE)

    assert operator("BronzeIngestOperator", spec=table).spec.model is table


def test_a_compact_spec_gives_its_model_back() -> None:
    from airflow_ingest.config import parse_gold, parse_table
    from airflow_ingest.operators._spec import Spec

    table, gold = Spec(parse_table(TABLE), compact=True), Spec(parse_gold(GOLD), compact=True)

    assert table.model == parse_table(TABLE)
    assert gold.model == parse_gold(GOLD)


def test_the_path_can_be_given_apart_from_the_spec() -> None:
    ingest = operator("BronzeIngestOperator", spec=TABLE, files="elsewhere/{{ ds }}.csv")

    assert ingest.files == "elsewhere/{{ ds }}.csv"


def test_merging_needs_silver() -> None:
    with pytest.raises(ValueError, match=r"the table t has no `silver`.*leave this task out"):
        operator("SilverMergeOperator", spec={"source": TABLE["source"]}, batches=[])


def test_a_gate_needs_two_ways() -> None:
    with pytest.raises(ValueError, match=r"both 'm'.*leave hold_task_id out"):
        operator("QualityGateOperator", spec=TABLE, batches=[], publish_task_id="m", hold_task_id="m")


def test_a_profile_is_of_silver_or_gold() -> None:
    with pytest.raises(ValueError, match=r"layer is 'bronze', and profiles are of tables in silver and gold"):
        operator("ProfileOperator", layer="bronze")


def test_holding_is_never_tried_again() -> None:
    assert operator("HoldBatchOperator", spec=TABLE, outcomes=[], retries=5).retries == 0


def test_a_gate_to_which_nothing_was_handed_on_skips_itself() -> None:
    """It also waits for the tables that it looks values up in, so it is not skipped along with its own table's."""
    from airflow.sdk.exceptions import AirflowSkipException

    gate: Any = operator("QualityGateOperator", spec=TABLE, batches=None, publish_task_id="merge")
    with pytest.raises(AirflowSkipException, match="nothing to judge"):
        gate.execute({})


def test_output_wires_tasks_together() -> None:
    from airflow.sdk import DAG

    from airflow_ingest.operators import PendingBatchesOperator

    with DAG("p"):
        ingest = operator("BronzeIngestOperator", task_id="ingest", spec=TABLE)
        pending = PendingBatchesOperator(task_id="pending", batches=ingest.output)

    assert pending.upstream_task_ids == {"ingest"}


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        pytest.param("SourceNotFound", True, id="no-source"),
        pytest.param("LakehouseError", True, id="load-failed"),
        pytest.param("SchemaMismatch", False, id="schema"),
        pytest.param("ReconciliationError", False, id="rows-lost"),
        pytest.param("TableOwnedByOther", False, id="foreign-table"),
    ],
)
def test_an_error_is_told_without_a_stack_and_retried_only_where_that_can_help(error: str, retried: bool) -> None:
    from airflow.sdk import RetryAction

    from airflow_ingest.operators._base import plain_errors

    failure = getattr(import_module("airflow_ingest.lakehouse"), error)("no good")
    failure.__cause__ = RuntimeError("a page of JVM stack")
    with pytest.raises(type(failure), match=r"^no good$") as caught, plain_errors():
        raise failure

    policy = operator("BronzeIngestOperator", spec=TABLE).retry_policy
    assert policy
    assert policy.evaluate(caught.value, 1, 3).action is (RetryAction.DEFAULT if retried else RetryAction.FAIL)
    assert caught.value.__suppress_context__
    assert caught.value.__cause__ is None
