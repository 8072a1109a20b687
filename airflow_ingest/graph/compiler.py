"""Pipeline → PipelineGraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from airflow_ingest.config import Gold, Pipeline, Table
from airflow_ingest.graph.model import GOLD_GROUP, PipelineGraph, Step, StepKind


def compile_graph(pipeline: Pipeline) -> PipelineGraph:
    """Lay out the steps of a pipeline that `load_pipeline` has checked."""
    tables, gold = pipeline.tables, pipeline.gold
    looked_up = {name: table.looked_up for name, table in tables.items()}
    read = {name: [_name(table) for table in gold[name].inputs if _layer(table) == GOLD_GROUP] for name in gold}
    steps = [step for name in _ordered(looked_up) for step in _table_steps(pipeline.pipeline, name, tables[name])]
    for name in _ordered(read):
        steps += _gold_steps(pipeline.pipeline, name, gold[name])
    return PipelineGraph(pipeline.pipeline, tuple(steps))


def gold_reading(pipeline: Pipeline, table: str) -> list[str]:
    """The gold tables that read `table`, such as `silver.orders`, or read one that does; each after those it reads."""
    reached = {table: ""}
    for step in compile_graph(pipeline).group(GOLD_GROUP):
        if step.kind is StepKind.GOLD and reached.keys() & set(pipeline.gold[step.target].inputs):
            reached[f"{GOLD_GROUP}.{step.target}"] = step.target
    return list(reached.values())[1:]


def _table_steps(pipeline: str, name: str, table: Table) -> Iterator[Step]:
    def step(kind: StepKind, upstream: StepKind | None, layer: str = "", after: Iterable[str] = ()) -> Step:
        others = tuple(f"{other}.{StepKind.MERGE.value}" for other in after)
        return Step(
            id=f"{name}.{kind.value}",
            kind=kind,
            group=name,
            target=name,
            upstream=((f"{name}.{upstream.value}",) if upstream else ()) + others,
            trigger_rule="none_failed" if others else "all_success",
            outlets=(f"{pipeline}.{layer}.{name}",) if layer else (),
        )

    if table.wait:
        yield step(StepKind.WAIT, None)
    yield step(StepKind.INGEST, StepKind.WAIT if table.wait else None, "bronze")
    if table.silver is None:
        if table.gated:
            yield step(StepKind.GATE, StepKind.INGEST, after=table.looked_up)
        return
    yield step(StepKind.PENDING, StepKind.INGEST)
    yield step(StepKind.GATE, StepKind.PENDING, after=table.looked_up)
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
    name = _name(table)
    return f"{GOLD_GROUP}.{name}" if _layer(table) == GOLD_GROUP else f"{name}.{StepKind.MERGE.value}"


def _layer(table: str) -> str:
    return table.partition(".")[0]


def _name(table: str) -> str:
    return table.partition(".")[2]


def _ordered(read: Mapping[str, Sequence[str]]) -> list[str]:
    """The names in the file's order, but each after those that it reads."""
    placed: dict[str, None] = {}

    def place(name: str) -> None:
        if name in placed:
            return
        for other in read[name]:
            place(other)
        placed[name] = None

    for name in read:
        place(name)
    return list(placed)
