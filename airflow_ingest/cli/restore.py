"""`restore`: one table as it was."""

import difflib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.intervals import moment_of, shown
from airflow_ingest.cli.lake import working
from airflow_ingest.cli.run import days_of
from airflow_ingest.config import IngestError, Pipeline, load_pipeline

if TYPE_CHECKING:
    from airflow_ingest.lakehouse import RestorePlan
    from airflow_ingest.lakehouse.restore import Undone

__all__ = ["restore_version"]

RUN_ID = "cli__restore"
_LISTED = 20
_NEXT = {
    "bronze": (
        "The next run of the schedule loads its own interval alone. Increments go on from the watermark of that "
        "version; intervals come back by a backfill, or airflow-ingest run --interval. Silver keeps its rows."
    ),
    "silver": (
        "The next run of the schedule takes the batches undone from bronze again. To keep them out, pause the DAG and "
        "correct their source first, then run them again."
    ),
    "gold": "The next run compares with its inputs again, and recomputes what they have published since.",
    "dlq": (
        "Letters rejected since are gone until their batch is run again, and letters replayed since are open again. "
        "Silver keeps its rows."
    ),
}


def restore_version(
    file: Path, table: str, to: str, *, remote: str | None, dry_run: bool = False, yes: bool = False
) -> int:
    """Take a table of the pipeline in `file`, such as `silver.orders`, back to a version or a time. Returns 0.

    What would be undone is shown first, and asked about unless `yes`; a dry run ends there. Raises ConfigError,
    IngestError for `table` or `to`, LakehouseError where it cannot go back there, RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import plan_restore, restore_table

    pipeline = load_pipeline(file)
    _check_table(table, pipeline)
    moment = _version_or_time(to, pipeline.timezone)
    with working(pipeline, remote) as (spark, lake):
        with notes().status("Looking …"):
            plan = plan_restore(spark, lake, table, moment)
        for line in _told(plan, pipeline.timezone):
            results().print(line, markup=False)
        if dry_run:
            return 0
        if not yes:
            typer.confirm(f"Restore {table} to version {plan.to}?", abort=True, err=True)
        with notes().status("Restoring …"):
            version = restore_table(spark, lake, plan, RUN_ID)
    results().print(f"{table} is restored: version {version} has the rows of version {plan.to}.", markup=False)
    return 0


def _check_table(table: str, pipeline: Pipeline) -> None:
    """Raises IngestError, with the nearest right name, if the pipeline has no table of that layer and name."""
    with_silver = [name for name, found in pipeline.tables.items() if found.silver is not None]
    known = [f"silver.{name}" for name in with_silver] + [f"gold.{name}" for name in pipeline.gold]
    known += [f"bronze.{name}" for name in pipeline.tables] + [f"dlq.{name}" for name in with_silver]
    if table in known:
        return
    if table.startswith("ops."):
        raise IngestError(f"{table}: the pipelines of a lake keep their books there together, and none may turn back.")
    same = [name for name in known if name.endswith(f".{table}")]
    near = same or difflib.get_close_matches(table, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
    raise IngestError(f"{table}: the pipeline {pipeline.pipeline!r} has no such table. {hint}")


def _version_or_time(text: str, zone: str) -> int | datetime:
    if text.isdigit():
        return int(text)
    moment = moment_of(text, zone)
    if moment is None:
        raise IngestError(
            f"--to {text!r} is not understood. Write a version (12), a day (2013-01-05) or a time (2013-01-05T06:00); "
            f"without an offset, times are in the pipeline's timezone, {zone}."
        )
    return moment


def _told(plan: "RestorePlan", zone: str) -> Iterator[str]:
    yield f"{plan.table} would go back from version {plan.now} to version {plan.to}, of {_at(plan.at, zone)}"
    yield f"undone, {len(plan.undone)} commit{'s' if len(plan.undone) > 1 else ''}:"
    yield from (f"  {line}" for line in _lines(plan.undone[:_LISTED], zone))
    if len(plan.undone) > _LISTED:
        yield f"  and {len(plan.undone) - _LISTED:,} more"
    yield _NEXT[plan.table.partition(".")[0]]


def _lines(undone: "Sequence[Undone]", zone: str) -> Iterator[str]:
    for commit in undone:
        span = commit.batch.interval if commit.batch else None
        of = f" of {days_of([(span.start, span.end)], zone)[0]}" if span else ""
        batch = f", batch {commit.batch.id}{of}" if commit.batch else ""
        by = f", by run {commit.run_id}" if commit.run_id else ""
        yield f"version {commit.version}, {_at(commit.at, zone)}: {commit.operation}{batch}{by}"


def _at(at: datetime | None, zone: str) -> str:
    return "an unknown time" if at is None else shown(at, zone, seconds=True)
