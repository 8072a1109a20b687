"""Loading a day of flights: through the operators against statements by hand, and as a whole process against dlt."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from benchmarks.by_hand import load_day
from benchmarks.measuring import Comparison, side_by_side

_HERE = Path(__file__).parent
_PIPELINE = _HERE.parent / "dags" / "flights.yaml"
_HELD = 30
"""Days that the tables hold before the clock starts: they warm Spark as well."""


def compare(rounds: int = 7) -> Iterator[Comparison]:
    """The two promises about a day's load, on one warm embedded Spark."""
    from airflow_ingest.config import load_pipeline
    from airflow_ingest.runtime import Embedded, session, start_server, stop_server
    from demo.landing import make_landing

    with TemporaryDirectory() as root:
        os.environ |= {"AIRFLOW_INGEST_HOME": f"{root}/runtime", "LANDING_ROOT": f"{root}/landing"}
        make_landing(Path(root, "landing"), months=(1, 2))
        start_server(Embedded())
        try:
            with session(Embedded(), load_pipeline(_PIPELINE).spark.conf) as by_hand:
                yield from _operators_and_hand(root, by_hand, rounds)
            yield from _process_and_dlt(root, rounds)
        finally:
            stop_server()


def _operators_and_hand(root: str, spark: Any, rounds: int) -> Iterator[Comparison]:
    operators = Operators(f"{root}/lake")

    def ours(number: int) -> None:
        operators.load(_day(_HELD + number))

    def theirs(number: int) -> None:
        load_day(spark, f"{root}/by_hand", f"{root}/landing", _day(_HELD + number))

    for number in range(-_HELD, 0):
        ours(number)
        theirs(number)
    yield side_by_side("a day through the operators / statements by hand", ours, theirs, rounds=rounds, limit=1.25)


def _process_and_dlt(root: str, rounds: int) -> Iterator[Comparison]:
    """The operators have loaded the days before into the lake; dlt gets its own, with as many days."""
    first = _HELD + rounds
    environment = {**os.environ, "LAKE_ROOT": f"{root}/lake", "RUNTIME__DLTHUB_TELEMETRY": "false"}

    def ours(number: int) -> None:
        script = Path(sys.executable).with_name("airflow-ingest")
        _run([str(script), "run", str(_PIPELINE), "--interval", str(_day(first + number))], environment)

    def theirs(number: int) -> None:
        file = f"{root}/landing/flights/{_day(first + number)}.csv"
        _run([sys.executable, str(_HERE / "with_dlt.py"), file, f"{root}/dlt"], environment)

    ours(-1)
    for number in range(-first, 0):
        theirs(number)
    yield side_by_side("the whole process for a day / dlt", ours, theirs, rounds=rounds, limit=1.0)


class Operators:
    """The flights pipeline's operators for one day's table and gold, executed as Airflow executes them."""

    def __init__(self, lake: str) -> None:
        os.environ["LAKE_ROOT"] = lake
        from airflow_ingest.factory.loader import load_dag

        self.dag = load_dag(_PIPELINE)

    def load(self, day: date) -> None:
        """Run ingest, gate, merge and both gold tables for `day`."""
        from airflow_ingest.config import render

        start = datetime.combine(day, datetime.min.time(), timezone.utc)
        end = start + timedelta(days=1)
        ingest = self._task("flights.ingest_bronze")
        files, ingest.files = ingest.files, render(str(ingest.files), start, end)
        loaded = self._execute(ingest, start, end)
        ingest.files = files
        gate = self._task("flights.quality_gate")
        gate.batches = loaded
        merge = self._task("flights.merge_silver")
        merge.batches = self._execute(gate, start, end)
        self._execute(merge, start, end)
        for name in ("gold.daily_carrier", "gold.weekly_carrier"):
            self._execute(self._task(name), start, end)

    def _task(self, task_id: str) -> Any:
        return self.dag.get_task(task_id)

    def _execute(self, task: Any, start: datetime, end: datetime) -> Any:
        run = SimpleNamespace(run_id=f"bench_{start:%Y-%m-%d}", run_type="backfill")
        run.data_interval_start, run.data_interval_end = start, end
        events = {outlet: SimpleNamespace(extra={}) for outlet in task.outlets}
        pushed: dict[str, Any] = {}
        instance = SimpleNamespace(xcom_push=pushed.__setitem__)
        task.do_branch = lambda context, branches: branches
        result = task.execute({"dag_run": run, "dag": self.dag, "outlet_events": events, "task": task, "ti": instance})
        return pushed.get("return_value", result)


def _day(number: int) -> date:
    return date(2013, 1, 1) + timedelta(days=number)


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
