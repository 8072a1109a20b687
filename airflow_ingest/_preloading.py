"""A listener that imports once what every task, or every parsed file, would import anew.

Airflow's scheduler forks the workers of its LocalExecutor, and they their tasks; the DAG processor forks itself for
each file. What either has imported by then, its children have.
"""

from __future__ import annotations

import multiprocessing
import sys
from importlib import import_module

from airflow.executors.executor_loader import ExecutorLoader
from airflow.listeners import hookimpl


@hookimpl
def on_starting(component: object) -> None:
    """Imports what the processes that a scheduler or a DAG processor will fork are to have; `component` is its job."""
    command = sys.argv[1:2]  # the job does not know yet whose it is
    if command == ["dag-processor"]:
        import_module("airflow_ingest.factory")
    elif command == ["scheduler"] and _forks_its_tasks():
        _import_steps()


def _forks_its_tasks() -> bool:
    names = ExecutorLoader.get_executor_names(validate_teams=False)
    local = any(name.module_path.endswith(".LocalExecutor") for name in names)
    return local and multiprocessing.get_start_method() == "fork"


def _import_steps() -> None:
    for module in ("airflow_ingest.factory", "airflow_ingest.operators", "pyspark.sql.connect.session"):
        import_module(module)
    lakehouse = import_module("airflow_ingest.lakehouse")
    for name in lakehouse.__all__:
        getattr(lakehouse, name)
