"""`graph`: a pipeline's steps as a tree."""

from pathlib import Path

from rich.markup import escape
from rich.tree import Tree

from airflow_ingest.cli.console import results
from airflow_ingest.config import Pipeline, load_pipeline
from airflow_ingest.graph import PipelineGraph, Step, StepKind, compile_graph

__all__ = ["draw", "tree"]


def draw(file: Path, *, as_json: bool = False) -> None:
    """Print the graph of the pipeline in `file`. Raises ConfigError."""
    pipeline = load_pipeline(file)
    graph = compile_graph(pipeline)
    out = results()
    if as_json:
        out.print(graph.to_json(), markup=False)
    else:
        out.print(tree(pipeline, graph))


def tree(pipeline: Pipeline, graph: PipelineGraph) -> Tree:
    """One branch per table with its steps, each below the one that it follows; one per gold table with its inputs."""
    schedule = pipeline.schedule or "no schedule"
    schedule = schedule if isinstance(schedule, str) else f"after {', '.join(schedule.names)}"
    root = Tree(f"[bold]{escape(graph.pipeline)}[/] ({escape(schedule)}, {escape(pipeline.timezone)})")
    branches: dict[str, Tree] = {}
    for step in graph.steps:
        if step.group not in branches:
            branches[step.group] = root.add(f"[bold cyan]{escape(step.group)}[/]")
        own = [name for name in step.upstream if name.startswith(f"{step.group}.") and step.kind is not StepKind.GOLD]
        others = [] if step.kind is StepKind.GOLD else [name for name in step.upstream if name not in own]
        after = f" [dim]after {escape(', '.join(others))}[/]" if others else ""
        branches[step.id] = (branches[own[-1]] if own else branches[step.group]).add(_label(step, pipeline) + after)
    return root


def _label(step: Step, pipeline: Pipeline) -> str:
    outlets = "".join(f" [green]→ {escape(outlet)}[/]" for outlet in step.outlets)
    if step.kind is not StepKind.GOLD:
        return f"{step.kind.value}{outlets}"
    inputs = escape(", ".join(pipeline.gold[step.target].inputs) or "its dates")
    return f"{escape(step.target)} [dim]from {inputs}[/]{outlets}"
