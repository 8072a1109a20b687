"""The examples of docs/gold.md do what the page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pytest
import yaml

from airflow_ingest.config import Gold, parse_gold
from airflow_ingest.config.dates import DATE_COLUMNS
from tests.lakehouse.conftest import Workbench

PAGE = Path(__file__).parents[2] / "docs/gold.md"


@dataclass(frozen=True)
class Input:
    """A table that gold reads: its columns and its rows, as text."""

    table: str
    columns: str
    rows: list[list[str | None]]


@dataclass(frozen=True)
class Example:
    """A section: its gold tables, of which the first is shown, the inputs, how they change, and what it then holds."""

    title: str
    gold: dict[str, Gold]
    inputs: list[Input]
    then: list[Input]
    columns: list[str]
    rows: list[tuple[str, ...]]


def examples() -> list[Example]:
    _, *sections = re.split(r"^## ", PAGE.read_text("utf-8"), flags=re.M)
    return [example(section) for section in sections]


def example(section: str) -> Example:
    config = re.search(r"```yaml\n(.*?)```", section, re.S)
    assert config
    gold = {name: parse_gold(spec, name=name) for name, spec in yaml.safe_load(config[1])["gold"].items()}
    told = re.findall(r"^(Then )?(silver\.\w+)(?: \((.*?)\))?:\n```csv\n(.*?)```", section, flags=re.S | re.M)
    columns = {table: ddl for _, table, ddl, _ in told if ddl}
    tables = [(bool(then), Input(table, columns[table], parsed(text))) for then, table, _, text in told]
    head, _, *rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("|")
    ]
    first, then = ([found for late, found in tables if late is which] for which in (False, True))
    return Example(section.split("\n", 1)[0], gold, first, then, list(head), rows)


def parsed(text: str) -> list[list[str | None]]:
    return [[cell or None for cell in line.split(",")] for line in text.splitlines()]


def test_every_load_stands_in_the_overview_and_every_part_has_an_example() -> None:
    overview = PAGE.read_text("utf-8").split("\n## ", 1)[0]
    assert set(re.findall(r"^\| \[?`(\w+)`", overview, flags=re.M)) == set(
        get_args(Gold.model_fields["load"].annotation)
    )
    assert [one.title for one in examples()] == ["replace", "aggregate", "merge", "Surrogate keys", "Dates", "Facts"]
    assert all(
        f"`{name}`" in PAGE.read_text("utf-8")
        for name in DATE_COLUMNS
        if "quarter_" not in name and "_year_" not in name
    )


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("one", examples(), ids=lambda one: one.title)
def test_the_example_ends_in_its_table(one: Example, bench: Workbench) -> None:
    for run, inputs in enumerate((one.inputs, one.then), start=1):
        for found in inputs:
            publish(bench, found)
        for name in sorted(
            one.gold, key=lambda name: any(table.startswith("gold.") for table in one.gold[name].inputs)
        ):
            bench.refresh(name, one.gold[name], run)
    held = bench.rows(bench.lake.gold(next(iter(one.gold))), *one.columns)
    assert sorted(tuple("" if cell is None else str(cell) for cell in row) for row in held) == sorted(one.rows)


def publish(bench: Workbench, found: Input) -> None:
    names = [column.split()[0] for column in found.columns.split(", ")]
    texts = bench.spark.createDataFrame(found.rows, ", ".join(f"{name} string" for name in names))
    typed = texts.selectExpr(
        *(f"CAST({column.replace(' ', ' AS ', 1)}) AS {column.split()[0]}" for column in found.columns.split(", "))
    )
    bench.publish(found.table, found.columns, *(tuple(row) for row in typed.collect()))
