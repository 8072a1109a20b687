"""What one unit of the graph does: the calls into the lakehouse, and their results as a TableRun."""

import sys
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_ingest import lakehouse
from airflow_ingest._databases import database_without_airflow
from airflow_ingest.cli.engine import Unit
from airflow_ingest.cli.group import is_own
from airflow_ingest.cli.progress import RunProgress
from airflow_ingest.cli.report import State, TableRun
from airflow_ingest.cli.sessions import Sessions
from airflow_ingest.config import Pipeline, Table, render
from airflow_ingest.graph import StepKind
from airflow_ingest.lakehouse import Interval, Lake, RunInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.model import RunKind

__all__ = ["Work", "explained", "run_info", "source_files"]


@dataclass(frozen=True)
class Work:
    """Runs units of one pipeline for one data interval.

    - `day`: what names the interval in the result
    - `progress`: told each step that begins, and each unit that ends
    - `debug`: print the traceback of a step that fails
    """

    pipeline: Pipeline
    run: RunInfo
    day: str
    sessions: Sessions
    progress: RunProgress
    debug: bool = False

    def __call__(self, unit: Unit) -> TableRun:
        """Run the unit's steps. A failure becomes its state and message."""
        began = time.monotonic()
        so_far = _SoFar()
        try:
            with self.sessions.borrow() as spark:
                work = self._gold if unit.is_gold else self._profile if unit.is_profile else self._table
                state, message = work(spark, unit, so_far)
        except Exception as error:
            if self.debug:
                traceback.print_exc(file=sys.stderr)
            state, message = "failed", explained(error)
            self._write_down(unit, error)
        finally:
            self.progress.end(unit)
        seconds = time.monotonic() - began
        return TableRun(self.day, unit.name, state, so_far.ingest, so_far.gates, so_far.published, message, seconds)

    def _write_down(self, unit: Unit, error: Exception) -> None:
        """Into `ops/failed_loads`, if Spark can still be reached."""
        step = StepKind.PROFILE.value if unit.is_profile else "run"
        with suppress(Exception), self.sessions.borrow() as spark:
            lakehouse.record_failure(spark, self._lake, self.run, unit.target, step, error, attempts=1)

    def _begin(self, unit: Unit, kind: StepKind) -> None:
        self.progress.begin(self.day, unit, kind.value)

    @property
    def _lake(self) -> Lake:
        return Lake(self.pipeline.lake, self.pipeline.pipeline)

    def _gold(self, spark: "SparkSession", unit: Unit, so_far: "_SoFar") -> tuple[State, str]:
        self._begin(unit, StepKind.GOLD)
        result = lakehouse.refresh_gold(spark, self._lake, unit.target, self.pipeline.gold[unit.target], self.run)
        so_far.published.append(result.to_dict())
        return result.status, result.reason

    def _profile(self, spark: "SparkSession", unit: Unit, so_far: "_SoFar") -> tuple[State, str]:
        """The table as it is now; a run that has published nothing finds the profile of that version."""
        self._begin(unit, StepKind.PROFILE)
        hidden = self.pipeline.masked(unit.published)
        try:
            found = lakehouse.profile_table(spark, self._lake, unit.published, self.run, hidden=hidden)
        except lakehouse.SourceNotFound:
            return "skipped", "nothing is published yet"
        told = f"version {found.version}: {found.rows:,} rows, {len(found.columns):,} columns"
        return ("unchanged" if found.kept else "profiled"), told

    def _table(self, spark: "SparkSession", unit: Unit, so_far: "_SoFar") -> tuple[State, str]:
        table, lake = self.pipeline.tables[unit.target], self._lake
        self._begin(unit, StepKind.INGEST)
        database = database_without_airflow(table.source.jdbc) if table.source.jdbc else None
        ingest = lakehouse.ingest_bronze(
            spark, lake, unit.target, table, self.run, files=source_files(table, self.run), database=database
        )
        so_far.ingest = ingest.to_dict()
        if table.silver is None:
            so_far.published.append(ingest.to_dict())
        held = []
        for batch in ingest.pending:
            self._begin(unit, StepKind.GATE)
            outcome = lakehouse.quality_gate(spark, lake, unit.target, table, self.run, batch)
            so_far.gates.append(outcome.to_dict())
            if outcome.decision == "block":
                held.append(lakehouse.hold_batch(spark, lake, table, self.run, outcome))
            elif table.silver is not None:
                self._begin(unit, StepKind.MERGE)
                merged = lakehouse.merge_silver(spark, lake, unit.target, table, self.run, batch, outcome)
                so_far.published.append(merged.to_dict())
        return ("held", "\n".join(held)) if held else (ingest.status, ingest.reason)


class _SoFar:
    """The results so far, kept when a later step fails."""

    def __init__(self) -> None:
        self.ingest: dict[str, object] | None = None
        self.gates: list[dict[str, object]] = []
        self.published: list[dict[str, object]] = []


def run_info(pipeline: Pipeline, start: datetime, end: datetime, kind: "RunKind" = "backfill") -> RunInfo:
    """Who asks for a load from the command line."""
    interval, run_id = Interval(start=start, end=end), f"cli__{kind}__{start.isoformat()}"
    return RunInfo(pipeline=pipeline.pipeline, run_id=run_id, interval=interval, kind=kind)


def source_files(table: Table, run: RunInfo) -> str | None:
    """The path of the table's source files, rendered for the run; None for a table that has another source."""
    if table.source.files is None:
        return None
    if run.interval is None:
        raise ValueError("the command line runs data intervals")
    return render(table.source.files, run.interval.start, run.interval.end)


def explained(error: Exception) -> str:
    """What a user is told of `error`: our own in full; of others the kind, and the first of maybe a thousand lines."""
    if is_own(error):
        return str(error)
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")
    return f"{type(error).__name__}: {first} (--debug shows the rest)"
