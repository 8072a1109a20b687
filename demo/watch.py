"""Follows the backfill's runs: live on a terminal, line by line elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from airflow_ingest.graph import PipelineGraph
from airflow_ingest.testing import DagRun, LocalAirflow, TaskRun

_POLL_SECONDS = 1.0
_SIGNS = {
    "success": ("●", "green"),
    "failed": ("✗", "bold red"),
    "upstream_failed": ("✗", "red"),
    "skipped": ("-", "dim"),
    "running": ("▶", "bold yellow"),
    "up_for_retry": ("↻", "yellow"),
    "up_for_reschedule": ("◔", "yellow"),
    "queued": ("○", "yellow"),
}
_WAITING = ("·", "dim")


@dataclass
class Board:
    """What is known of each day: its run, and that run's tasks by id."""

    graph: PipelineGraph
    days: Sequence[date]
    runs: dict[date, DagRun] = field(default_factory=dict)
    tasks: dict[date, dict[str, TaskRun]] = field(default_factory=dict)

    @property
    def failed(self) -> list[date]:
        """The days whose run failed."""
        return [day for day in self.days if day in self.runs and self.runs[day].state == "failed"]

    @property
    def finished(self) -> bool:
        """Whether there is nothing to wait for: every run has ended, or one has failed."""
        return bool(self.failed) or all(day in self.runs and self.runs[day].finished for day in self.days)

    def update(self, airflow: LocalAirflow) -> Iterator[tuple[date, TaskRun]]:
        """Asks Airflow for news; yields the tasks that have ended since the last time."""
        dag_id = self.graph.pipeline
        for run in airflow.api.runs(dag_id):
            day = run.logical_date.date() if run.logical_date else None
            if run.run_type != "backfill" or day is None or day not in self.days:
                continue
            done_before = day in self.runs and self.runs[day].finished
            self.runs[day] = run
            if done_before or run.state == "queued":
                continue
            known = self.tasks.get(day, {})
            self.tasks[day] = {task.task_id: task for task in airflow.api.tasks(dag_id, run.run_id)}
            for name, task in self.tasks[day].items():
                if task.finished and not (name in known and known[name].finished):
                    yield day, task

    def picture(self) -> Table:
        """A line per day, a column per task group, a sign per task."""
        table = Table(header_style="bold", caption=_legend())
        for name in ("day", *self.graph.groups, "run"):
            table.add_column(name, no_wrap=True)
        for day in self.days:
            signs = [self._signs(day, group) for group in self.graph.groups]
            table.add_row(day.isoformat(), *signs, self.runs[day].state if day in self.runs else "")
        return table

    def _signs(self, day: date, group: str) -> Text:
        tasks = self.tasks.get(day, {})
        states = [tasks[step.id].state if step.id in tasks else None for step in self.graph.group(group)]
        return Text.assemble(*(_SIGNS.get(state or "", _WAITING) for state in states))


def follow(airflow: LocalAirflow, board: Board, console: Console, *, timeout: float) -> None:
    """Shows the board's progress until it has finished.

    Raises LocalAirflowError where a component of Airflow ends or the time runs out.
    """
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def step() -> bool:
            for day, task in board.update(airflow):
                if not console.is_terminal and task.state != "skipped":
                    seconds = f" in {task.duration:.1f} s" if task.duration else ""
                    console.print(f"{day}  {task.task_id}: {task.state}{seconds}", markup=False, highlight=False)
            if console.is_terminal:
                live.update(board.picture())
            return board.finished

        airflow.wait_for(step, timeout=timeout, what="the backfill", poll=_POLL_SECONDS)
    console.print(board.picture())


def _legend() -> Text:
    return Text.assemble(
        *(part for state in ("success", "running", "skipped", "failed") for part in (_SIGNS[state], f" {state}   "))
    )
