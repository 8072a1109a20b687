"""The example of docs/columns.md is a sound pipeline, whose lookup is laid out before its use."""

import io
import re
import textwrap
from pathlib import Path

from rich.console import Console
from rich.tree import Tree

from airflow_ingest.cli.drawing import tree
from airflow_ingest.config import parse_pipeline
from airflow_ingest.graph import compile_graph

PAGE = Path(__file__).parents[2] / "docs/columns.md"


def drawn(found: Tree) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(found)
    return console.export_text()


def test_the_example_validates_and_its_gate_waits_for_the_table_that_it_looks_into() -> None:
    example = re.search(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert example
    pipeline = parse_pipeline(example[1], file="people.yaml", env={})
    assert pipeline.tables["people"].looked_up == ("countries",)
    steps = {step.id: step for step in compile_graph(pipeline).steps}
    gate = steps["people.quality_gate"]
    assert gate.upstream == ("people.has_pending_batches", "countries.merge_silver")
    assert gate.trigger_rule == "none_failed"
    assert "quality_gate after countries.merge_silver" in drawn(tree(pipeline, compile_graph(pipeline)))
    assert list(steps).index("countries.merge_silver") < list(steps).index("people.quality_gate")


def test_the_select_validates_and_its_gate_waits_for_the_table_that_it_joins() -> None:
    _, example, *_ = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    pipeline = parse_pipeline(f"{HEAD}{textwrap.indent(example, '    ')}", file="shop.yaml", env={})
    assert pipeline.tables["lines"].looked_up == ("rates",)
    gate = next(step for step in compile_graph(pipeline).steps if step.id == "lines.quality_gate")
    assert gate.upstream == ("lines.has_pending_batches", "rates.merge_silver")


HEAD = """\
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: ./lake
tables:
  rates:
    source: {files: rates.csv, format: csv}
    silver: {keys: [currency]}
  lines:
    source: {files: orders.csv, format: csv}
"""
