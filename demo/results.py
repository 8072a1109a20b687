"""What the runs did, from what their tasks left in XCom, and what the gold tables now hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from rich.table import Table

from airflow_ingest.cli.engine import Unit, units_of
from airflow_ingest.cli.report import State, TableRun
from airflow_ingest.config import Pipeline
from airflow_ingest.graph import StepKind
from airflow_ingest.lakehouse import Lake
from airflow_ingest.testing import LocalAirflow, TaskRun
from demo.watch import Board

_ROWS = 5
_PUBLISHING = {StepKind.MERGE, StepKind.GOLD}


def table_runs(airflow: LocalAirflow, board: Board) -> Iterator[TableRun]:
    """What each day did with each table; tables that had nothing new on a day are left out."""
    for day in board.days:
        for unit in units_of(board.graph):
            run = _table_run(airflow, board, day, unit)
            if run.ingest or run.published:
                yield run


def gold_tables(airflow: LocalAirflow, pipeline: Pipeline) -> Iterator[Table]:
    """The first rows of every gold table."""
    lake = Lake(pipeline.lake, pipeline.pipeline)
    with airflow.spark() as spark:
        for name, gold in pipeline.gold.items():
            frame = spark.read.format("delta").load(lake.gold(name))
            shown = [column for column in frame.columns if not column.startswith("_")]
            order = dict.fromkeys([*gold.partition_by, *shown])
            rows = frame.select(*shown).orderBy(*order).limit(_ROWS).collect()
            yield _table(f"gold.{name}", shown, rows)


def _table_run(airflow: LocalAirflow, board: Board, day: date, unit: Unit) -> TableRun:
    found = {}
    for step in unit.steps:
        task = board.tasks[day].get(step.id)
        if task is not None and task.state == "success":
            found[step.kind] = airflow.api.xcom(board.graph.pipeline, board.runs[day].run_id, step.id)
    published = [value for kind, value in found.items() if kind in _PUBLISHING and value]
    tasks = [board.tasks[day][step.id] for step in unit.steps if step.id in board.tasks[day]]
    return TableRun(
        day=day.isoformat(),
        table=unit.name,
        state=_state(tasks),
        ingest=found.get(StepKind.INGEST),
        gates=found.get(StepKind.GATE) or (),
        published=published,
        seconds=sum(task.duration or 0 for task in tasks),
    )


def _state(tasks: Sequence[TaskRun]) -> State:
    return "failed" if any(task.state in {"failed", "upstream_failed"} for task in tasks) else "loaded"


def _table(title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any] | Any]) -> Table:
    table = Table(*columns, title=title, title_justify="left", header_style="bold")
    for row in rows:
        table.add_row(*(_text(row[column]) for column in columns))
    return table


def _text(value: object) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else "" if value is None else str(value)
