"""Starts an Airflow, has it load a week, shows what came out, stops it."""

from __future__ import annotations

import re
import sys
from datetime import date, datetime, time, timedelta, timezone
from time import sleep

import httpx
from rich.console import Console

from airflow_ingest.cli.report import result_table
from airflow_ingest.config import IngestError, Pipeline, load_pipeline
from airflow_ingest.graph import compile_graph
from airflow_ingest.runtime.jars import delta_jars
from airflow_ingest.runtime.java import find_java
from airflow_ingest.testing import LocalAirflow
from demo.landing import make_landing
from demo.results import gold_tables, table_runs
from demo.stage import REPOSITORY, Stage, end_in_order_on_signals, stays_open, wanted_port
from demo.watch import Board, follow

DAG_ID = "flights"
DAGS = REPOSITORY / "dags"
FIRST_DAY = date(2013, 1, 1)
DAYS = 7
_TIMEOUT = 1800
_LOG_LINES = 60
_LOG_WIDTH = 140
_STACK_FRAME = re.compile(r'\s+at [\w.$]+|\s+File ".*/(site-packages|lib/python[\d.]+)/')


class DemoFailedError(IngestError):
    """A run failed; its tasks' logs have been shown."""


def main() -> int:
    """Returns 0 if every day was loaded, else 1 and the reason on the terminal; 130 after Ctrl-C."""
    console = Console(width=None if sys.stdout.isatty() else _LOG_WIDTH, highlight=False)
    end_in_order_on_signals()
    try:
        stage = Stage()
        with stage.taken():
            _play(stage, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    except (IngestError, OSError, ValueError, httpx.HTTPError) as error:
        console.print(f"\n{error}", style="red", markup=False)
        return 1
    return 0


def _play(stage: Stage, console: Console) -> None:
    find_java()
    delta_jars()
    variables = {"LANDING_ROOT": str(stage.landing), "LAKE_ROOT": str(stage.lake)}
    pipeline = load_pipeline(DAGS / f"{DAG_ID}.yaml", env=variables)
    airflow = LocalAirflow(stage.airflow, DAGS, env=variables, port=wanted_port(), parallelism=3, schedule=False)
    airflow.stop()
    stage.clear()
    days = make_landing(stage.landing)
    console.print(f"[bold]1.[/] {days} days of flights and the reference tables are in {stage.landing}.")
    console.print("[bold]2.[/] Starting Airflow: api-server, scheduler, dag-processor, triggerer …")
    with airflow:
        try:
            _load(airflow, pipeline, console)
        finally:
            console.print("Stopping Airflow and Spark …")


def _load(airflow: LocalAirflow, pipeline: Pipeline, console: Console) -> None:
    login = _login(airflow) if stays_open() else ""
    console.print(f"   It listens on {airflow.url}{login} and logs to {airflow.home / 'logs'}.")
    days = [FIRST_DAY + timedelta(days=number) for number in range(DAYS)]
    board = Board(compile_graph(pipeline), days)
    airflow.wait_for(lambda: _is_read(airflow), timeout=120, what=f"the DAG {DAG_ID}")
    console.print(f"[bold]3.[/] Asking Airflow for a backfill of {DAG_ID}, {days[0]} to {days[-1]} …")
    # In this order: a scheduler that sees runs appear one by one competes with their writer for SQLite.
    airflow.api.backfill(DAG_ID, _midnight(days[0]), _midnight(days[-1]), max_active_runs=1)
    airflow.api.unpause(DAG_ID)
    follow(airflow, board, console, timeout=_TIMEOUT)
    if board.failed:
        _show_failure(airflow, board, console)
        raise DemoFailedError(f"The run of {', '.join(map(str, board.failed))} failed.")
    console.print("[bold]4.[/] What came out:\n")
    console.print(result_table(table_runs(airflow, board), title="What each day brought"))
    for table in gold_tables(airflow, pipeline):
        console.print(table)
    console.print(f"The lake is in {pipeline.lake}; it stays until the next demonstration.")
    if stays_open():
        console.print(f"\nLook around: [bold]{airflow.url}/dags/{DAG_ID}[/]{_login(airflow)}. Ctrl-C ends it.")
        _wait_for_the_end(airflow)


def _is_read(airflow: LocalAirflow) -> bool:
    for broken in airflow.api.import_errors():
        raise DemoFailedError(f"Airflow could not read {broken.file}:\n{broken.message}")
    return DAG_ID in airflow.api.dags()


def _show_failure(airflow: LocalAirflow, board: Board, console: Console) -> None:
    """The end of the log of every task that failed by itself."""
    for day in board.failed:
        for task in board.tasks[day].values():
            if task.state == "failed":
                log = airflow.api.log(DAG_ID, board.runs[day].run_id, task.task_id, task.try_number)
                console.rule(f"{day} {task.task_id}, try {task.try_number}")
                told = [line for line in log.splitlines() if not _STACK_FRAME.match(line)]
                console.print("\n".join(told[-_LOG_LINES:]), markup=False)


def _wait_for_the_end(airflow: LocalAirflow) -> None:
    try:
        while True:
            airflow.check()
            sleep(1)
    except KeyboardInterrupt:
        return


def _login(airflow: LocalAirflow) -> str:
    return f" (user [bold]{airflow.username}[/], password [bold]{airflow.password}[/])"


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


if __name__ == "__main__":
    sys.exit(main())
