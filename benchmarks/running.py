"""A real Airflow: what it adds to the steps, a task's price before it does anything, a week's backfill, a dropped file.

What it is measured against is how the apache-spark provider is used today: one `spark-submit` a step.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import yaml

from benchmarks.measuring import Comparison

if TYPE_CHECKING:
    from airflow_ingest.testing import DagRun, TaskRun

_HERE = Path(__file__).parent
_FIRST = datetime(2013, 1, 1, tzinfo=timezone.utc)
_DAYS = 7
_LOCAL = '{"conn_type": "spark", "host": "local[2]"}'
_SUBMITTED = """
from datetime import datetime
from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

DAY = "{{{{ (dag_run.data_interval_start or dag_run.run_after).date() }}}}"

def submit(step, lake):
    return SparkSubmitOperator(
        task_id=step, conn_id="submitted", application={script!r}, application_args=[step, lake, {landing!r}, DAY],
        jars={jars!r}, spark_binary={binary!r}, conf={conf!r}, driver_memory="2g", max_active_tis_per_dag=1,
    )

with DAG("submitted", schedule=CronDataIntervalTimetable("@daily", timezone="UTC"), start_date=datetime(2013, 1, 1),
         end_date=datetime(2013, 1, 31), catchup=False, max_active_runs=1):
    submit("bronze", {lake!r}) >> submit("silver", {lake!r}) >> submit("daily", {lake!r}) >> submit("weekly", {lake!r})

with DAG("submitted_nothing", schedule=None):
    submit("nothing", {told!r})
"""
_NOTHING = """
import time
from airflow.sdk import DAG, task

with DAG("nothing", schedule=None):
    @task
    def nothing():
        from airflow_ingest.hooks import SparkDeltaHook
        with SparkDeltaHook().session() as spark:
            spark.sql("SELECT 1").collect()
            return time.time()
    nothing()
"""


def compare(rounds: int = 5) -> Iterator[Comparison]:
    """What is measured of a running Airflow, everything on one warm Spark server."""
    from demo.landing import make_landing

    with TemporaryDirectory() as root:
        make_landing(Path(root, "landing"))
        site = Site(Path(root))
        with site.airflow:
            site.airflow.wait_for(lambda: {"week", "submitted", "nothing"} <= site.dags(), timeout=120, what="the DAGs")
            site.backfill("week", 0, 1)  # starts Spark
            yield site.first_statement(rounds)
            yield site.overhead(rounds)
            yield site.week()
            yield site.dropped(rounds)


class Site:
    """An Airflow with a folder of DAGs: the flights pipeline without its reference tables, and the same by hand."""

    def __init__(self, root: Path) -> None:
        from airflow_ingest.runtime.jars import delta_jars
        from airflow_ingest.runtime.launch import SESSION_DEFAULTS
        from airflow_ingest.testing import LocalAirflow

        self._root, self._folder = root, root / "dags"
        self._folder.mkdir()
        self._told = root / "told"
        (self._folder / "week.yaml").write_text(_week("week", root / "lake", root / "landing"))
        shutil.copy(_HERE.parent / "dags" / "ingest_loader.py", self._folder)
        delta = {
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.shuffle.partitions": "1",
            "spark.ui.enabled": "false",
            **SESSION_DEFAULTS,
        }
        text = _SUBMITTED.format(
            script=str(_HERE / "submitted.py"),
            landing=str(root / "landing"),
            lake=str(root / "by_hand"),
            told=str(self._told),
            jars=",".join(map(str, delta_jars())),
            binary="spark-submit",
            conf=delta,
        )
        (self._folder / "submitted.py").write_text(text)
        (self._folder / "nothing.py").write_text(_NOTHING)
        env = {"AIRFLOW_CONN_SUBMITTED": _LOCAL, "PYSPARK_PYTHON": sys.executable}
        self.airflow = LocalAirflow(root / "airflow", self._folder, env=env, parallelism=2, schedule=False)

    def dags(self) -> set[str]:
        """The ids that Airflow knows."""
        return set(self.airflow.api.dags())

    def backfill(self, dag_id: str, first: int, days: int) -> float:
        """Backfill days of January, and return the seconds from the first run's start to the last one's end."""
        api = self.airflow.api
        begin = _FIRST + timedelta(days=first)
        api.backfill(dag_id, begin, begin + timedelta(days=days - 1), max_active_runs=1)
        api.unpause(dag_id)
        ended = partial(self._ended, dag_id, begin, begin + timedelta(days=days))
        self.airflow.wait_for(lambda: len(ended()) == days, timeout=1500, what=f"the runs of {dag_id}", poll=1)
        runs = ended()
        if any(run.state != "success" for run in runs):
            raise RuntimeError(f"a run of {dag_id} failed: see {self.airflow.home / 'logs'}")
        api.close_backfills(dag_id)
        return _seconds(
            min(filter(None, (run.started for run in runs))), max(filter(None, (run.ended for run in runs)))
        )

    def first_statement(self, rounds: int) -> Comparison:
        """From a task's start to the answer to its first statement."""
        ours, theirs = [], []
        for _ in range(rounds):
            task, run_id = self._trigger("nothing")
            answered = float(self.airflow.api.xcom("nothing", run_id, "nothing"))
            ours.append(answered - _at(task))
            task, _ = self._trigger("submitted_nothing")
            theirs.append(float(self._told.read_text()) - _at(task))
        return Comparison("a task until its first statement is answered / spark-submit", tuple(ours), tuple(theirs))

    def overhead(self, rounds: int) -> Comparison:
        """A day by a DAG run, against the same steps by `airflow-ingest run` on the same server, in another lake."""
        file = self._root / "alone.yaml"
        file.write_text(_week("alone", self._root / "alone", self._root / "landing"))
        script = str(Path(sys.executable).with_name("airflow-ingest"))
        environment = {**os.environ, "AIRFLOW_INGEST_HOME": str(self.airflow.runtime_home)}
        ours, theirs = [], []
        for day in range(1, rounds + 2):
            run = self._run("week", _FIRST + timedelta(days=day + 1))
            began = time.perf_counter()
            wanted = [script, "run", str(file), "--interval", f"{_FIRST + timedelta(days=day):%Y-%m-%d}"]
            subprocess.run(wanted, env=environment, check=True, capture_output=True)
            if day > 1:  # the first makes its tables
                theirs.append(time.perf_counter() - began)
                ours.append(_seconds(run.started, run.ended))
        return Comparison("a day by a DAG run / airflow-ingest run", tuple(ours), tuple(theirs))

    def week(self) -> Comparison:
        """Seven days, one after the other, to the end."""
        ours, theirs = self.backfill("week", 14, _DAYS), self.backfill("submitted", 14, _DAYS)
        return Comparison("a week's backfill / one spark-submit a step", (ours,), (theirs,), 0.5)

    def dropped(self, rounds: int) -> Comparison:
        """From a file in the folder to its DAG in the API: as a pipeline, and as a DAG file of Airflow's own."""
        ours, theirs = [], []
        for number in range(rounds):
            name = f"dropped_{number}"
            ours.append(self._seen(name, f"{name}.yaml", _week(name, self._root / name, self._root / "landing")))
            python = f"from airflow.sdk import DAG\nwith DAG({name + '_py'!r}, schedule=None):\n    pass\n"
            theirs.append(self._seen(f"{name}_py", f"{name}.py", python))
        return Comparison("a dropped YAML file until its DAG is there / a dropped DAG file", tuple(ours), tuple(theirs))

    def _seen(self, dag_id: str, file: str, text: str) -> float:
        (self._root / file).write_text(text)
        began = time.perf_counter()
        (self._root / file).rename(self._folder / file)
        self.airflow.wait_for(lambda: dag_id in self.dags(), timeout=120, what=dag_id, poll=0.1)
        return time.perf_counter() - began

    def _run(self, dag_id: str, logical_date: datetime | None = None) -> DagRun:
        """A run by hand, to its end."""
        api = self.airflow.api
        api.unpause(dag_id)
        run_id = api.trigger(dag_id, logical_date=logical_date).run_id
        found = partial(self._finished, dag_id, run_id)
        self.airflow.wait_for(lambda: bool(found()), timeout=300, what=f"the run {run_id} of {dag_id}", poll=0.2)
        (run,) = found()
        return run

    def _finished(self, dag_id: str, run_id: str) -> list[DagRun]:
        return [run for run in self.airflow.api.runs(dag_id) if run.run_id == run_id and run.finished]

    def _trigger(self, dag_id: str) -> tuple[TaskRun, str]:
        """One run, to its end: its only task, and its id."""
        api = self.airflow.api
        run_id = self._run(dag_id).run_id
        (task,) = api.tasks(dag_id, run_id)
        if task.state != "success":
            raise RuntimeError(api.log(dag_id, run_id, task.task_id, task.try_number))
        return task, run_id

    def _ended(self, dag_id: str, begin: datetime, end: datetime) -> list[DagRun]:
        runs = self.airflow.api.runs(dag_id)
        return [run for run in runs if run.finished and run.logical_date and begin <= run.logical_date < end]


def _at(task: TaskRun) -> float:
    assert task.started
    return task.started.timestamp()


def _seconds(began: datetime | None, ended: datetime | None) -> float:
    assert began
    assert ended
    return (ended - began).total_seconds()


def _week(name: str, lake: Path, landing: Path) -> str:
    """The flights pipeline without its reference tables."""
    pipeline = yaml.safe_load((_HERE.parent / "dags" / "flights.yaml").read_text())
    pipeline |= {"pipeline": name, "lake": str(lake), "tables": {"flights": pipeline["tables"]["flights"]}}
    text: str = yaml.safe_dump(pipeline, sort_keys=False)
    return text.replace("${LANDING_ROOT:-./landing}", str(landing))
