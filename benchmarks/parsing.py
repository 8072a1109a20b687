"""Parsing a folder of pipelines against dag-factory on DAGs of the same shape: ten tasks in two groups."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measuring import Comparison, side_by_side

OURS = """\
pipeline: {name}
schedule: "@daily"
start_date: 2024-01-01
tags: [bench]
lake: /lake
tables:
  orders:
    source: {{files: "/landing/orders/{{{{ ds }}}}.csv", format: csv, options: {{header: true}}}}
    silver:
      columns: {{id: int, customer: int, amount: "decimal(12,2)", ordered_at: timestamp}}
      keys: [id]
      sequence_by: [ordered_at]
    quality:
      rules:
        - {{name: positive, expect: "amount > 0"}}
        - {{row_count: {{min: 1}}}}
  customers:
    source: {{files: "/landing/customers/{{{{ ds }}}}.csv", format: csv, options: {{header: true}}}}
    silver:
      columns: {{id: int, name: {{expr: "upper(trim(name))"}}, city: string}}
      keys: [id]
"""

_THEIR_TASK = """\
    - task_id: {step}
      operator: airflow.providers.standard.operators.bash.BashOperator
      bash_command: "echo {step}"
      task_group_name: {group}
      dependencies: [{upstream}]
"""
_STEPS = ("ingest_bronze", "has_pending_batches", "quality_gate", "hold_batch", "merge_silver")
_UPSTREAM = {"has_pending_batches": "ingest_bronze", "quality_gate": "has_pending_batches"}
_UPSTREAM |= dict.fromkeys(("hold_batch", "merge_silver"), "quality_gate")

_CHILD = """
import json, os, resource, sys, time
from pathlib import Path
which, folder = sys.argv[1:]
import airflow.sdk
import airflow.providers.standard.operators.bash
if which == "ours":
    from airflow_ingest.factory import load_dags
else:
    from dagfactory import load_yaml_dags
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
if which == "ours":
    dags = load_dags(folder, maintenance=None)
else:
    dags = {}
    load_yaml_dags(dags, dags_folder=folder)
seconds = time.perf_counter() - started
found = [dag for dag in dags.values() if isinstance(dag, airflow.sdk.DAG)]
tasks = sum(len(dag.tasks) for dag in found)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
json.dump({"seconds": seconds, "peak_mib": peak, "dags": len(found), "tasks": tasks}, sys.stdout)
"""


def compare(pipelines: int = 1000, rounds: int = 3) -> Iterator[Comparison]:
    """Time and peak memory of parsing `pipelines` files, and what a task's start parses in a large and small folder."""
    with TemporaryDirectory() as root:
        ours, theirs, small = Path(root, "ours"), Path(root, "theirs"), Path(root, "small")
        write_pipelines(ours, pipelines)
        write_pipelines(small, 10)
        _write_theirs(theirs, pipelines)
        memory: dict[str, list[float]] = {"ours": [], "theirs": []}

        def parse(which: str, folder: Path) -> float:
            result = _child(which, folder)
            assert (result["dags"], result["tasks"]) == (pipelines, 10 * pipelines), result
            memory[which].append(result["peak_mib"])
            return result["seconds"]

        yield side_by_side(
            f"parse {pipelines} pipelines of 10 steps / dag-factory",
            lambda _: parse("ours", ours),
            lambda _: parse("theirs", theirs),
            rounds=rounds,
            limit=1 / 3,
        )
        yield Comparison(
            "peak memory of it / dag-factory", tuple(memory["ours"]), tuple(memory["theirs"]), 1.0, unit="MiB"
        )
        yield side_by_side(
            f"a task's start among {pipelines} pipelines / among 10",
            lambda _: _child("ours", ours, dag_id="bench_0003")["seconds"],
            lambda _: _child("ours", small, dag_id="bench_0003")["seconds"],
            rounds=max(rounds, 5),
            limit=1.5,
        )


def write_pipelines(folder: Path, count: int) -> None:
    """`count` pipelines of two tables each."""
    folder.mkdir()
    for number in range(count):
        name = f"bench_{number:04d}"
        (folder / f"{name}.yaml").write_text(OURS.format(name=name))


def _write_theirs(folder: Path, count: int) -> None:
    folder.mkdir()
    tasks = "".join(_their_tasks(group) for group in ("orders", "customers"))
    for number in range(count):
        name = f"bench_{number:04d}"
        (folder / f"{name}.yaml").write_text(
            f"{name}:\n  default_args: {{owner: airflow, start_date: 2024-01-01, retries: 2}}\n"
            '  schedule: "0 0 * * *"\n'
            "  catchup: false\n  tags: [bench]\n  task_groups:\n    - group_name: orders\n    - group_name: customers\n"
            f"  tasks:\n{tasks}"
        )


def _their_tasks(group: str) -> str:
    return "".join(
        _THEIR_TASK.format(
            step=f"{step}_{group}", group=group, upstream=f"{_UPSTREAM[step]}_{group}" if step in _UPSTREAM else ""
        )
        for step in _STEPS
    )


def _child(which: str, folder: Path, dag_id: str | None = None) -> dict[str, float]:
    context = {"_AIRFLOW_PARSING_CONTEXT_DAG_ID": dag_id, "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "x"} if dag_id else {}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, which, str(folder)],
        env={**os.environ, **context, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        check=True,
    )
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result
