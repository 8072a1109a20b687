"""Pipeline → PipelineGraph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from airflow_ingest.config import Gold, Pipeline, Table
from airflow_ingest.graph.model import GOLD_GROUP, PipelineGraph, Step, StepKind


def compile_graph(pipeline: Pipeline) -> PipelineGraph:
    """Lay out the steps of a pipeline that `load_pipeline` has checked."""
    steps = [step for name, table in pipeline.tables.items() for step in _table_steps(pipeline.pipeline, name, table)]
    for name in _ordered(pipeline.gold):
        steps += _gold_steps(pipeline.pipeline, name, pipeline.gold[name])
    return PipelineGraph(pipeline.pipeline, tuple(steps))


def _table_steps(pipeline: str, name: str, table: Table) -> Iterator[Step]:
    def step(kind: StepKind, upstream: StepKind | None, layer: str = "") -> Step:
        return Step(
            id=f"{name}.{kind.value}",
            kind=kind,
            group=name,
            target=name,
            upstream=(f"{name}.{upstream.value}",) if upstream else (),
            outlets=(f"{pipeline}.{layer}.{name}",) if layer else (),
        )

    if table.wait:
        yield step(StepKind.WAIT, None)
    yield step(StepKind.INGEST, StepKind.WAIT if table.wait else None, "bronze")
    if table.silver is None:
        return
    yield step(StepKind.PENDING, StepKind.INGEST)
    yield step(StepKind.GATE, StepKind.PENDING)
    yield step(StepKind.HOLD, StepKind.GATE)
    yield step(StepKind.MERGE, StepKind.GATE, "silver")
    if table.silver.profile:
        yield step(StepKind.PROFILE, StepKind.MERGE)


def _gold_steps(pipeline: str, name: str, gold: Gold) -> Iterator[Step]:
    refresh = Step(
        id=f"{GOLD_GROUP}.{name}",
        kind=StepKind.GOLD,
        group=GOLD_GROUP,
        target=name,
        upstream=tuple(map(_producer, gold.inputs)),
        trigger_rule="none_failed",
        outlets=(f"{pipeline}.gold.{name}",),
    )
    yield refresh
    if gold.profile:
        yield Step(
            id=f"{refresh.id}.{StepKind.PROFILE.value}",
            kind=StepKind.PROFILE,
            group=GOLD_GROUP,
            target=name,
            upstream=(refresh.id,),
        )


def _producer(table: str) -> str:
    layer, name = table.split(".")
    return f"{GOLD_GROUP}.{name}" if layer == GOLD_GROUP else f"{name}.{StepKind.MERGE.value}"


def _ordered(gold: Mapping[str, Gold]) -> list[str]:
    """The gold tables in the file's order, but each after those it reads."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name in placed:
            return
        for table in gold[name].inputs:
            layer, _, read = table.partition(".")
            if layer == GOLD_GROUP:
                place(read)
        placed[name] = None

    for name in gold:
        place(name)
    return list(placed)
