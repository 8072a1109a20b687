"""Pipelines small enough to read, and the DagBag that takes them in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG

LOADER = Path(__file__).parents[2] / "dags" / "ingest_loader.py"
SHARED = ["ingest_dlq_replay", "ingest_held_batches", "ingest_maintenance"]
"""The DAGs that serve all pipelines."""
SMALL = """\
pipeline: {name}
schedule: "@daily"
start_date: 2013-01-01
lake: ${{LAKE_SECRET:-./lake}}
tables:
  orders:
    source: {{files: "${{LAKE_SECRET:-in}}/{{{{ ds }}}}.csv", format: csv}}
    wait: {{timeout: 1h, poll: 30s}}
    silver:
      columns: {{id: int, day: date}}
      keys: [id]
    quality: {{rules: [{{row_count: {{min: 1}}}}]}}
  raw:
    source: {{files: in/raw.json, format: json}}
    extract: {{mode: full}}
gold:
  per_day:
    sql: SELECT day, count(*) AS n FROM silver.orders GROUP BY day
    load: replace
    partition_by: [day]
{extra}"""


def small(name: str = "shop", extra: str = "") -> str:
    """The text of a pipeline file."""
    return SMALL.format(name=name, extra=extra)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A DAG folder with the loader and one pipeline."""
    (tmp_path / LOADER.name).write_text(LOADER.read_text())
    (tmp_path / "shop.yaml").write_text(small())
    return tmp_path


@pytest.fixture
def bag(folder: Path) -> Callable[[], DagBag]:
    """Import the folder as Airflow does."""

    def collect() -> DagBag:
        from airflow.dag_processing.dagbag import DagBag

        return DagBag(folder, bundle_path=folder)

    return collect


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., DAG]:
    """Build the DAG of a pipeline file from its text."""

    def write_and_build(text: str, name: str = "shop") -> DAG:
        from airflow_ingest.factory.loader import load_dag

        file = tmp_path / f"{name}.yaml"
        file.write_text(text)
        return load_dag(file)

    return write_and_build
