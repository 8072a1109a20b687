"""What Airflow's pages say of a pipeline. Names and words only: no value of the environment gets here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline, Table


def describe_pipeline(pipeline: Pipeline) -> str:
    """The pipeline in Markdown: its description, and a line for every table."""
    lines = [pipeline.description or f"The pipeline {pipeline.pipeline}.", ""]
    lines += ["| table | from | how |", "| --- | --- | --- |"]
    lines += [f"| {name} | {_origin(table)} | {_steps(table)} |" for name, table in pipeline.tables.items()]
    lines += [
        f"| gold.{name} | {', '.join(gold.inputs) or 'dates'} | {gold.load} |" for name, gold in pipeline.gold.items()
    ]
    return "\n".join(lines)


def _origin(table: Table) -> str:
    kinds = (kind for kind in ("jdbc", "delta") if getattr(table.source, kind) is not None)
    return table.source.format or next(kinds, "")


def _steps(table: Table) -> str:
    if table.silver is None:
        return f"{table.extract.mode}, bronze alone"
    keys = f" on {', '.join(table.silver.keys)}" if table.silver.keys else ""
    return f"{table.extract.mode}, {len(table.quality.rules)} rules, {table.silver.load}{keys}"
