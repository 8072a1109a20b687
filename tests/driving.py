"""Two ways to run a pipeline's day: through Airflow's operators, and through `airflow-ingest run`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from typer.testing import CliRunner

from airflow_ingest.cli.app import app
from airflow_ingest.config import render

Kind = Literal["live", "backfill"]


class StateFile:
    """A task state store in a file, for attempts in processes of their own; `scope` is the task instance's."""

    def __init__(self, file: Path, scope: str) -> None:
        self._file, self._scope = file, scope

    def get(self, key: str) -> Any:
        return self._all().get(f"{self._scope} {key}")

    def set(self, key: str, value: Any) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps({**self._all(), f"{self._scope} {key}": value}))
        new.replace(self._file)

    def _all(self) -> dict[str, Any]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}


def by_operators(folder: Path, day: int, kind: Kind, *, tries: int | None = None) -> str:
    """The operators of `folder`'s pipeline `shop`, executed in order as Airflow does, each handed what the one above
    returned. Returns how the batches fared: `loaded` or `held`.

    With `tries`, the tasks keep what they pin in `folder`, for another attempt of the same number of tries.
    """
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from airflow_ingest.factory.loader import load_dag

    dag = load_dag(folder / "shop.yaml")
    start = datetime(2026, 1, day, tzinfo=timezone.utc)
    end = start + timedelta(days=1)
    handed_on: Any = None
    way = ["orders.ingest_bronze", "orders.has_pending_batches", "orders.quality_gate"]
    gold = sorted(task_id for task_id in dag.task_ids if task_id.startswith("gold."))
    state = "loaded"
    while way:
        task: Any = dag.get_task(way.pop(0))
        pushed: dict[str, Any] = {}
        taken: list[str] = []
        task.do_branch = lambda _, branches, taken=taken: taken.extend(branches)
        if hasattr(task, "files"):
            task.files = render(str(task.files), start, end)
        for field in ("batches", "outcomes"):
            if hasattr(task, field):
                setattr(task, field, handed_on)
        run = SimpleNamespace(
            run_id=f"{kind}__{start:%Y-%m-%d}",
            run_type="scheduled" if kind == "live" else kind,
            data_interval_start=start,
            data_interval_end=end,
        )
        store = None if tries is None else StateFile(folder / "state.json", f"{run.run_id} {task.task_id}")
        context = {
            "dag_run": run,
            "dag": dag,
            "task": task,
            "outlet_events": {outlet: SimpleNamespace(extra={}) for outlet in task.outlets},
            "ti": SimpleNamespace(xcom_push=pushed.__setitem__, try_number=1, max_tries=tries or 0, map_index=-1),
            "task_state_store": store,
        }
        try:
            result = task.execute(context)
        except AirflowFailException:
            state = "held"
        except AirflowSkipException:
            pass
        else:
            handed_on = pushed.get("return_value", result)
        if task.task_id == "orders.quality_gate":
            way += [*sorted(taken, reverse=True), *gold]
    return state


def by_command(folder: Path, day: int, kind: Kind) -> str:
    """`airflow-ingest run`."""
    how = ["--live"] if kind == "live" else []
    file = str(folder / "shop.yaml")
    result = CliRunner().invoke(app, ["run", file, "--json", "--interval", f"2026-01-{day:02d}", *how])
    runs = json.loads(result.stdout)
    return str(next(run["state"] for run in runs if run["table"] == "orders"))


def by_replay(folder: Path, run_id: str, fix: Mapping[str, str]) -> None:
    """The operator behind the replay's form, executed for `shop.orders` as Airflow does, one letter at a time."""
    from airflow_ingest.factory.by_hand import build_replay_dag

    dag = build_replay_dag("ingest_dlq_replay", {"shop": str(folder / "shop.yaml")}, ["shop.orders"])
    task: Any = dag.get_task("replay")
    alias = SimpleNamespace(add=lambda asset, extra: None)
    task.execute(
        {
            "dag": dag,
            "dag_run": SimpleNamespace(
                run_id=run_id, run_type="manual", data_interval_start=None, data_interval_end=None
            ),
            "params": {**{name: dag.params[name] for name in dag.params}, "fix": dict(fix), "batch_size": 1},
            "outlet_events": dict.fromkeys(task.outlets, alias),
            "ti": SimpleNamespace(try_number=1, max_tries=0),
        }
    )
