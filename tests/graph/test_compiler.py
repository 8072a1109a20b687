"""Golden tests of the compiled graph: each golden/<name>.yaml compiles to golden/<name>.json."""

import json
from pathlib import Path

import pytest

import airflow_ingest.graph
from airflow_ingest.config import load_pipeline
from airflow_ingest.graph import PipelineGraph, StepKind, compile_graph

GOLDEN = Path(__file__).with_name("golden")
NAMES = sorted(file.stem for file in GOLDEN.glob("*.yaml"))


def graph(name: str) -> PipelineGraph:
    return compile_graph(load_pipeline(GOLDEN / f"{name}.yaml", env={"LANDING_ROOT": "/landing"}))


@pytest.mark.parametrize("name", NAMES)
def test_golden(name: str) -> None:
    assert json.loads(graph(name).to_json()) == json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_every_step_comes_after_those_it_depends_on(name: str) -> None:
    seen: set[str] = set()
    for step in graph(name).steps:
        assert set(step.upstream) <= seen
        seen.add(step.id)
    assert len(seen) == len(graph(name).steps)


def test_groups_and_steps_are_found_by_name() -> None:
    flights = graph("flights")
    assert flights.groups == ("flights", "airlines", "gold")
    assert [step.kind for step in flights.group("airlines")] == [
        StepKind.INGEST,
        StepKind.PENDING,
        StepKind.GATE,
        StepKind.HOLD,
        StepKind.MERGE,
    ]
    assert flights.step("gold.weekly_carrier").upstream == ("gold.daily_carrier",)
    assert flights.group("nobody") == ()
    with pytest.raises(KeyError):
        flights.step("nobody.merge_silver")


def test_a_held_batch_does_not_stop_gold() -> None:
    chain = graph("gold_chain")
    assert all(step.trigger_rule == "none_failed" for step in chain.group("gold"))
    assert not any("hold" in upstream for step in chain.group("gold") for upstream in step.upstream)


def test_nothing_waits_for_a_profile() -> None:
    steps = graph("profiled").steps
    profiles = {step.id: step.published for step in steps if step.kind is StepKind.PROFILE}
    assert profiles == {"orders.profile": "silver.orders", "gold.by_region.profile": "gold.by_region"}
    assert not any(profiles.keys() & set(step.upstream) for step in steps)


def test_a_table_that_stops_at_bronze_has_a_gate_where_it_has_rules() -> None:
    found = graph("bronze_rules")
    assert [step.kind for step in found.group("judged")] == [StepKind.INGEST, StepKind.GATE]
    assert [step.kind for step in found.group("kept")] == [StepKind.INGEST]


def test_public_names_are_sorted_and_there() -> None:
    names = airflow_ingest.graph.__all__
    assert names == sorted(names)
    assert all(hasattr(airflow_ingest.graph, name) for name in names)
