"""The examples of docs/loads.md do what the page says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from airflow_ingest.config import Silver, Table
from tests.lakehouse.conftest import Workbench

PAGE = Path(__file__).parents[2] / "docs/loads.md"


@dataclass(frozen=True)
class Example:
    """A section: its `silver`, the files of the days in turn and their format, and the table that they end in."""

    title: str
    silver: dict[str, Any]
    format: str
    days: list[tuple[int, str]]
    columns: list[str]
    rows: list[tuple[str, ...]]


def examples() -> list[Example]:
    _, *sections = re.split(r"^###? ", PAGE.read_text("utf-8"), flags=re.M)
    return [example(section) for section in sections if "```yaml" in section]


def example(section: str) -> Example:
    config = re.search(r"```yaml\n(.*?)```", section, re.S)
    assert config
    days = re.findall(r"Day (\d+):\n```(csv|json)\n(.*?)```", section, re.S)
    (kind,) = {kind for _, kind, _ in days}
    head, _, *rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("|")
    ]
    silver = yaml.safe_load(config[1])["silver"]
    files = [(int(day), text) for day, _, text in days]
    return Example(section.split("\n", 1)[0].strip(), silver, kind, files, list(head), rows)


def test_every_load_has_an_example_and_stands_in_the_overview() -> None:
    served = set(get_args(Silver.model_fields["load"].annotation))
    assert {one.silver["load"] for one in examples()} == served
    assert served <= set(re.findall(r"^\| \[`(\w+)`\]", PAGE.read_text("utf-8"), flags=re.M))


@pytest.mark.parametrize(
    "key", ["delete_when", "operations", "deletes", "images", "ignore_null_updates", "track", "replace_where"]
)
def test_what_goes_with_a_load_has_an_example(key: str) -> None:
    assert any(key in one.silver for one in examples())


@pytest.mark.spark
@pytest.mark.slow
@pytest.mark.parametrize("one", examples(), ids=lambda one: one.title)
def test_the_example_ends_in_its_table(one: Example, bench: Workbench) -> None:
    source = {"files": "unused", "format": one.format}
    table = Table.model_validate({"source": source, "silver": one.silver, "quality": {"max_reject_rate": "100%"}})
    for day, text in one.days:
        bench.load(table, bench.write(f"{day}.{one.format}", text), day=day)
    found = bench.spark.read.format("delta").load(bench.lake.silver("orders")).selectExpr(*one.columns).collect()
    assert sorted(tuple("" if cell is None else str(cell) for cell in row) for row in found) == sorted(one.rows)
