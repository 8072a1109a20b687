"""The walk through a pipeline's graph: order, company and what a failure stops."""

import threading
from collections.abc import Sequence

import pytest

from airflow_ingest.cli.engine import Unit, run_units, units_of
from airflow_ingest.cli.report import State, TableRun
from airflow_ingest.config import parse_pipeline
from airflow_ingest.graph import PipelineGraph, compile_graph

TABLE = "{source: {files: x.csv, format: csv}, silver: {keys: [id]}}"
TEXT = f"""\
pipeline: shop
lake: ./lake
tables:
  orders: {TABLE}
  items: {TABLE}
  raw: {{source: {{files: x.csv, format: csv}}}}
gold:
  per_day: {{sql: SELECT count(*) AS n FROM silver.orders, load: overwrite}}
  both: {{sql: SELECT count(*) AS n FROM silver.orders JOIN silver.items USING (id), load: overwrite}}
  top: {{sql: SELECT max(n) AS n FROM gold.per_day, load: overwrite}}
  of_items: {{sql: SELECT count(*) AS n FROM silver.items, load: overwrite}}
"""


@pytest.fixture
def graph() -> PipelineGraph:
    return compile_graph(parse_pipeline(TEXT, file="shop.yaml"))


def _walk(units: Sequence[Unit], **states: State) -> tuple[list[str], dict[str, str]]:
    """The order in which one worker took the units, and the state of each."""
    order: list[str] = []

    def work(unit: Unit) -> TableRun:
        order.append(unit.name)
        return TableRun("day", unit.name, states.get(unit.target, "loaded"))

    runs = run_units(units, "day", work, workers=1)
    assert [run.table for run in runs] == [unit.name for unit in units]
    return order, {run.table: run.state for run in runs}


def test_a_table_is_one_unit_and_so_is_each_gold_table(graph: PipelineGraph) -> None:
    units = {unit.name: unit for unit in units_of(graph)}
    assert set(units) == {"orders", "items", "raw", "gold.per_day", "gold.both", "gold.top", "gold.of_items"}
    assert units["gold.both"].upstream == {"orders", "items"}
    assert units["gold.top"].upstream == {"gold.per_day"}
    assert units["orders"].upstream == set()
    assert units["gold.top"].is_gold
    assert not units["raw"].is_gold


def test_a_profile_stops_nothing_and_is_chosen_with_its_table() -> None:
    text = TEXT.replace("keys: [id]", "keys: [id], profile: true", 1).replace(
        "FROM gold.per_day, load: overwrite", "FROM gold.per_day, load: overwrite, profile: true"
    )
    graph = compile_graph(parse_pipeline(text, file="shop.yaml"))
    units = {unit.name: unit for unit in units_of(graph)}
    assert {name for name, unit in units.items() if unit.is_profile} == {"orders.profile", "gold.top.profile"}
    assert (units["orders.profile"].published, units["orders.profile"].upstream) == (
        "silver.orders",
        frozenset({"orders"}),
    )
    assert units["gold.top.profile"].upstream == {"gold.top"}
    assert not any(name.endswith(".profile") for unit in units.values() for name in unit.upstream)
    for chosen in ("top", "gold.top"):
        assert [unit.name for unit in units_of(graph, [chosen])] == ["gold.top", "gold.top.profile"]


def test_every_unit_runs_once_and_after_those_above_it(graph: PipelineGraph) -> None:
    units = units_of(graph)
    order, states = _walk(units)
    assert sorted(order) == sorted(unit.name for unit in units)
    assert all(order.index(above) < order.index(unit.name) for unit in units for above in unit.upstream)
    assert set(states.values()) == {"loaded"}


def test_a_failure_stops_what_is_below_it_and_nothing_else(graph: PipelineGraph) -> None:
    order, states = _walk(units_of(graph), orders="failed")
    assert {"gold.per_day", "gold.both", "gold.top"} == {name for name, state in states.items() if state == "not run"}
    assert {"items", "raw", "gold.of_items"} <= set(order)
    assert not {"gold.per_day", "gold.both", "gold.top"} & set(order)


@pytest.mark.parametrize("state", ["held", "skipped", "unchanged"])
def test_what_did_not_fail_stops_nothing(graph: PipelineGraph, state: State) -> None:
    _, states = _walk(units_of(graph), orders=state)
    assert {name: states[name] for name in ("gold.per_day", "gold.both", "gold.top")} == dict.fromkeys(
        ("gold.per_day", "gold.both", "gold.top"), "loaded"
    )


def test_chosen_tables_run_alone(graph: PipelineGraph) -> None:
    units = units_of(graph, ["gold.top", "items"])
    assert {unit.name: len(unit.upstream) for unit in units} == {"items": 0, "gold.top": 0}


def test_independent_units_run_side_by_side(graph: PipelineGraph) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def work(unit: Unit) -> TableRun:
        if unit.name in ("orders", "items"):
            meeting.wait()
        return TableRun("day", unit.name, "loaded")

    assert {run.state for run in run_units(units_of(graph), "day", work, workers=2)} == {"loaded"}


def test_ctrl_c_ends_the_walk_without_starting_more(graph: PipelineGraph) -> None:
    started: list[str] = []

    def work(unit: Unit) -> TableRun:
        started.append(unit.name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_units(units_of(graph), "day", work, workers=1)
    assert len(started) <= 2
