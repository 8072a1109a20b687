"""What Airflow's processes have imported by the time they fork."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.airflow

_STEPS, _FACTORY, _SPARK = "airflow_ingest.lakehouse.bronze", "airflow_ingest.factory", "pyspark.sql.connect.session"
_START = f"""
import sys
from airflow.jobs.job import Job
assert not sys.modules.keys() & {{{_STEPS!r}, {_FACTORY!r}, {_SPARK!r}}}
Job()
print(*sorted(sys.modules.keys() & {{{_STEPS!r}, {_FACTORY!r}, {_SPARK!r}}}))
"""


@pytest.mark.parametrize(
    ("command", "executor", "imported"),
    [
        pytest.param("scheduler", "LocalExecutor", [_FACTORY, _STEPS, _SPARK], id="what tasks need"),
        pytest.param("scheduler", "my_package.Executor", [], id="nothing where tasks are not forked from it"),
        pytest.param("dag-processor", "LocalExecutor", [_FACTORY], id="what files need"),
        pytest.param("triggerer", "LocalExecutor", [], id="nothing where nothing is forked"),
    ],
)
def test_a_component_imports_before_it_forks(
    command: str, executor: str, imported: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    done = subprocess.run([sys.executable, "-c", _START, command], capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].split() == imported
