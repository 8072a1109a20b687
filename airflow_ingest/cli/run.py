"""`run`: all steps in one process, for one or several data intervals."""

import difflib
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pendulum

from airflow_ingest.cli.console import results
from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.cli.engine import Unit, run_units, units_of
from airflow_ingest.cli.intervals import intervals_of
from airflow_ingest.cli.report import TableRun, result_table
from airflow_ingest.config import IngestError, Pipeline, load_pipeline
from airflow_ingest.graph import compile_graph

if TYPE_CHECKING:
    from airflow_ingest.lakehouse.model import RunKind

__all__ = ["check_names", "days_of", "make_importable", "run_pipeline"]

WORKERS = 3
"""Tables that are loaded side by side."""


def run_pipeline(
    file: Path,
    when: str,
    tables: Sequence[str],
    *,
    remote: str | None,
    live: bool = False,
    as_json: bool = False,
    debug: bool = False,
) -> int:
    """Run the pipeline in `file` for the intervals that `when` names. Returns 1 if a table failed or is held, else 0.

    A `live` run takes what the schedule's own would, another one what a backfill would.

    Raises ConfigError, IntervalError for `when`, IngestError for a name in `tables`, RuntimeProblem for Spark.
    """
    pipeline = load_pipeline(file)
    check_names(tables, pipeline)
    make_importable(file)
    schedule = pipeline.schedule if isinstance(pipeline.schedule, str) else None
    intervals = intervals_of(when, schedule, pipeline.timezone)
    units = units_of(compile_graph(pipeline), tables)
    runs = _run(pipeline, units, intervals, remote, "live" if live else "backfill", debug=debug)
    if as_json:
        results().print(json.dumps([run.to_dict() for run in runs], indent=2), markup=False)
    else:
        results().print(result_table(runs, title=pipeline.pipeline))
        _explain(runs)
    return 1 if any(run.state in ("failed", "held", "not run", "stopped") for run in runs) else 0


def _run(
    pipeline: Pipeline,
    units: Sequence[Unit],
    intervals: Sequence[tuple[datetime, datetime]],
    remote: str | None,
    kind: "RunKind",
    *,
    debug: bool,
) -> list[TableRun]:
    from airflow_ingest.cli.progress import RunProgress
    from airflow_ingest.cli.run_records import stopped, write_down
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.cli.steps import Work, run_info

    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    runs: list[TableRun] = []
    try:
        with RunProgress() as progress:
            for (start, end), day in zip(intervals, days_of(intervals, pipeline.timezone), strict=True):
                run = run_info(pipeline, start, end, kind)
                work = Work(pipeline, run, day, sessions, progress, debug=debug)
                began = datetime.now(timezone.utc)
                why = stopped(pipeline, run, sessions)
                if why:
                    found = [TableRun(day, unit.name, "stopped", message=why, seconds=0.0) for unit in units]
                else:
                    found = run_units(units, day, work, workers=WORKERS)
                runs += found
                write_down(pipeline, run, began, found, sessions)
    except KeyboardInterrupt:
        sessions.interrupt()
        raise
    finally:
        sessions.close()
    return runs


def make_importable(file: Path) -> None:
    """Let the modules beside a pipeline's file be found, as Airflow finds those in its dags folder."""
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)


def days_of(intervals: Sequence[tuple[datetime, datetime]], zone: str) -> list[str]:
    """What names each interval in the result: its first day, and its hour where one does not start at midnight."""
    starts = [start.astimezone(pendulum.timezone(zone)) for start, _ in intervals]
    daily = all((start.hour, start.minute) == (0, 0) for start in starts)
    return [start.strftime("%Y-%m-%d" if daily else "%Y-%m-%d %H:%M") for start in starts]


def _explain(runs: Sequence[TableRun]) -> None:
    """The whole message of what went wrong: the table has room for a line of it."""
    for run in runs:
        if run.state in ("failed", "held", "stopped") and run.message:
            results().print(f"\n{run.day} {run.table} {run.state}:\n{run.message}", markup=False)


def check_names(names: Sequence[str], pipeline: Pipeline) -> None:
    """Raises IngestError, with the nearest right name, if one of `names` is no table of the pipeline."""
    known = [*pipeline.tables, *pipeline.gold, *(f"gold.{name}" for name in pipeline.gold)]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join([*pipeline.tables, *pipeline.gold])}."
            raise IngestError(f"--table {name}: the pipeline {pipeline.pipeline!r} has no such table. {hint}")
