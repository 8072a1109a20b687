"""The example of docs/schema.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from airflow_ingest.config import Table
from tests.lakehouse.conftest import Workbench

PAGE = Path(__file__).parents[2] / "docs/schema.md"


@pytest.mark.spark
@pytest.mark.slow
def test_the_example_ends_in_its_table(bench: Workbench) -> None:
    text = PAGE.read_text("utf-8")
    config = re.search(r"```yaml\n(.*?)```", text, re.S)
    assert config
    table = Table.model_validate(yaml.safe_load(config[1])["tables"]["orders"])
    for day, rows in re.findall(r"^Day (\d+)[^\n]*:\n```json\n(.*?)```", text, re.S | re.M):
        bench.load(table, bench.write(f"{day}.json", rows), day=int(day))
    head, _, *rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in text[config.end() :].splitlines()
        if line.startswith("|")
    ]
    found = bench.rows(bench.lake.silver("orders"), *head)
    assert [tuple("" if cell is None else str(cell) for cell in row) for row in found] == rows
