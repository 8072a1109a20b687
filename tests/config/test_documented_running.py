"""The examples of docs/running.md are what this version reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_ingest.config import AssetSchedule, parse_pipeline

PAGE = (Path(__file__).parents[2] / "docs/running.md").read_text("utf-8")
LINES = [line for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
TABLE = "source: {files: a.csv, format: csv}"


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("wait:")])
def test_what_can_be_waited_for(line: str) -> None:
    text = f"pipeline: p\nlake: ./lake\ntables:\n  t:\n    {TABLE}\n    {line}\n"

    assert parse_pipeline(text, file="p.yaml", env={}).tables["t"].wait


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("schedule:")])
def test_schedules_by_assets(line: str) -> None:
    schedule = parse_pipeline(
        f"pipeline: p\nlake: ./lake\n{line}\ntables: {{t: {{{TABLE}}}}}\n", file="p.yaml"
    ).schedule

    assert isinstance(schedule, AssetSchedule)
    assert schedule.names


def test_nothing_else_is_shown() -> None:
    assert {line.partition(":")[0] for line in LINES} == {"wait", "schedule"}
