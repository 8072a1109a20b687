"""What Airflow's database tells of pipelines, in as many queries as there are kinds of facts, however many tables.

Which tables a pipeline has follows from the assets of its tasks, which Airflow writes down when it has parsed the DAG:
`orders.ingest_bronze` gives `shop.bronze.orders`, `gold.revenue` gives `shop.gold.revenue`. So they are known before
the first run, and gone when the table is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow.models.asset import AssetModel, TaskOutletAssetReference
from airflow.models.callback import Callback
from airflow.models.dag import DagModel
from airflow.models.dag_version import DagVersion
from airflow.models.dagrun import DagRun
from airflow.models.deadline import Deadline
from airflow.models.deadline_alert import DeadlineAlert
from airflow.models.serialized_dag import SerializedDagModel
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from sqlalchemy import ColumnElement, Select, Subquery, and_, func, or_, select
from sqlalchemy.orm import Session

from airflow_ingest.graph import GOLD_GROUP, StepKind
from airflow_ingest.graph.model import RECORD_RUN
from airflow_ingest.notifications.sla import IN_TIME

RUNS = 30
"""So many of a pipeline's last runs are looked at."""
_GATE = f".{StepKind.GATE.value}"
_INGEST = f".{StepKind.INGEST.value}"
_OF_GOLD = f"{GOLD_GROUP}."


@dataclass(frozen=True)
class Run:
    """A run of a pipeline; `scheduled` as its schedule wants it, not by hand or as part of a backfill."""

    id: int
    run_id: str
    state: str
    scheduled: bool
    ended: datetime | None = None


@dataclass(frozen=True)
class Due:
    """A deadline of the run with that id: for the whole pipeline, or as its `alert` is named for one table.

    One of a table that was there in time, while its run was still going on, is no longer among them.
    """

    run: int
    at: datetime
    missed: bool
    alert: str


@dataclass(frozen=True)
class Told:
    """What a task of a run told `at` a time, as it went into XCom."""

    at: datetime
    value: Any
    run_id: str = ""


@dataclass
class Facts:
    """A pipeline as the database knows it. `runs`, `records` and `dues` are sorted, the newest first.

    - `file`: what Airflow has read its DAG from; `next_end`: the end of the interval that its next run will load
    - `tables`: as `record_run` names them (`orders`, `gold.revenue`)
    - `records`: what `record_run` told; `judged`: what the gate of a table told last, or the task of a gold table
    - `alerts`: the names of the deadline alerts that its DAG has now, and the seconds that each allows, if fixed
    """

    pipeline: str
    file: str = ""
    paused: bool = False
    backfills: bool = True
    next_end: datetime | None = None
    tables: list[str] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    records: list[Told] = field(default_factory=list)
    judged: dict[str, Told] = field(default_factory=dict)
    dues: list[Due] = field(default_factory=list)
    alerts: dict[str, float | None] = field(default_factory=dict)


def facts_of(session: Session, readable: Collection[str]) -> list[Facts]:
    """The pipelines among the DAGs that the user may read, by name."""
    found = _with_tables(session, readable)
    if found:
        recent = _recent(found)
        _runs(session, found, recent)
        _records(session, found, recent)
        _judged(session, found, recent)
        _alerts(session, found)
        _dues(session, found, recent)
    return [found[name] for name in sorted(found)]


def _with_tables(session: Session, readable: Collection[str]) -> dict[str, Facts]:
    known = (
        select(
            DagModel.dag_id,
            DagModel.fileloc,
            DagModel.is_paused,
            DagModel.timetable_periodic,
            DagModel.next_dagrun_data_interval_end,
            TaskOutletAssetReference.task_id,
            AssetModel.name,
        )
        .join(TaskOutletAssetReference, TaskOutletAssetReference.dag_id == DagModel.dag_id)
        .join(AssetModel, AssetModel.id == TaskOutletAssetReference.asset_id)
        .where(DagModel.is_stale.is_(False), DagModel.dag_id.in_(readable))
        .order_by(DagModel.dag_id, TaskOutletAssetReference.task_id)
    )
    found: dict[str, Facts] = {}
    for dag_id, file, paused, periodic, next_end, task_id, asset in session.execute(known):
        if table := _table_of(dag_id, task_id, asset):
            facts = found.setdefault(dag_id, Facts(dag_id, file or "", paused, periodic, next_end))
            facts.tables.append(table)
    return found


def _table_of(dag_id: str, task_id: str, asset: str) -> str | None:
    """The table that a task brings up to date, if it is one of ours: the asset's name tells."""
    if task_id.startswith(_OF_GOLD) and asset == f"{dag_id}.{task_id}":
        return task_id
    name = task_id.removesuffix(_INGEST)
    return name if name != task_id and asset == f"{dag_id}.bronze.{name}" else None


def _recent(pipelines: Iterable[str]) -> Subquery:
    nth = func.row_number().over(partition_by=DagRun.dag_id, order_by=DagRun.run_after.desc()).label("nth")
    ranked = select(DagRun.id, DagRun.dag_id, nth).where(DagRun.dag_id.in_(pipelines)).subquery()
    return select(ranked).where(ranked.c.nth <= RUNS).subquery()


def _runs(session: Session, found: Mapping[str, Facts], recent: Subquery) -> None:
    columns = (DagRun.dag_id, DagRun.id, DagRun.run_id, DagRun.state, DagRun.run_type, DagRun.end_date)
    newest = select(*columns).join(recent, recent.c.id == DagRun.id).order_by(recent.c.nth)
    for dag_id, number, run_id, state, kind, ended in session.execute(newest):
        scheduled = str(getattr(kind, "value", kind)) not in ("backfill", "manual")
        found[dag_id].runs.append(Run(number, run_id, str(state), scheduled, ended))


def _returned(recent: Subquery, which: ColumnElement[bool]) -> Select[Any]:
    return (
        select(XComModel.dag_id, XComModel.task_id, XComModel.run_id, XComModel.timestamp, XComModel.value)
        .join(recent, recent.c.id == XComModel.dag_run_id)
        .where(XComModel.key == XCOM_RETURN_KEY, XComModel.map_index == -1, which)
    )


def value_of(row: Any) -> Any:
    """What an XCom's row holds: mostly it is plain JSON, which is not to be decoded once more."""
    return row.value if isinstance(row.value, dict | list) else XComModel.deserialize_value(row)


def _records(session: Session, found: Mapping[str, Facts], recent: Subquery) -> None:
    told = _returned(recent, XComModel.task_id == RECORD_RUN).order_by(XComModel.timestamp.desc())
    for row in session.execute(told):
        value = value_of(row)
        if isinstance(value, dict) and "tables" in value:
            found[row.dag_id].records.append(Told(row.timestamp, value, row.run_id))


def _judged(session: Session, found: Mapping[str, Facts], recent: Subquery) -> None:
    """Only the newest of each task is read: what gates tell is long."""
    judges = or_(
        XComModel.task_id.endswith(_GATE, autoescape=True), XComModel.task_id.startswith(_OF_GOLD, autoescape=True)
    )
    newest = (
        select(XComModel.dag_id, XComModel.task_id, func.min(recent.c.nth).label("nth"))
        .join(recent, recent.c.id == XComModel.dag_run_id)
        .where(XComModel.key == XCOM_RETURN_KEY, XComModel.map_index == -1, judges)
        .group_by(XComModel.dag_id, XComModel.task_id)
        .subquery()
    )
    told = _returned(recent, judges).join(
        newest,
        and_(
            newest.c.dag_id == recent.c.dag_id,
            newest.c.nth == recent.c.nth,
            newest.c.task_id == XComModel.task_id,
        ),
    )
    for row in session.execute(told):
        told_last = Told(row.timestamp, value_of(row), row.run_id)
        found[row.dag_id].judged[row.task_id.removesuffix(_GATE)] = told_last


def _alerts(session: Session, found: Mapping[str, Facts]) -> None:
    newest = (
        select(DagVersion.dag_id, func.max(DagVersion.version_number).label("number"))
        .where(DagVersion.dag_id.in_(found))
        .group_by(DagVersion.dag_id)
        .subquery()
    )
    alerts = (
        select(DagVersion.dag_id, DeadlineAlert.name, DeadlineAlert.interval)
        .join(SerializedDagModel, SerializedDagModel.id == DeadlineAlert.serialized_dag_id)
        .join(DagVersion, DagVersion.id == SerializedDagModel.dag_version_id)
        .join(newest, and_(newest.c.dag_id == DagVersion.dag_id, newest.c.number == DagVersion.version_number))
    )
    for dag_id, name, interval in session.execute(alerts):
        found[dag_id].alerts[name or ""] = _seconds(interval)


def _seconds(interval: Any) -> float | None:
    """How long a deadline alert allows, as Airflow writes it down; None where that is worked out for each run."""
    value = interval.get("__data__") if isinstance(interval, dict) else interval
    return float(value) if isinstance(value, int | float) else None


def _dues(session: Session, found: Mapping[str, Facts], recent: Subquery) -> None:
    deadlines = (
        select(recent.c.dag_id, recent.c.id, Deadline.deadline_time, Deadline.missed, DeadlineAlert.name)
        .join(recent, recent.c.id == Deadline.dagrun_id)
        .outerjoin(DeadlineAlert, DeadlineAlert.id == Deadline.deadline_alert_id)
        .outerjoin(Callback, Callback.id == Deadline.callback_id)
        .where(or_(Callback.output.is_(None), Callback.output != IN_TIME))
        .order_by(Deadline.deadline_time.desc())
    )
    for dag_id, run, at, missed, alert in session.execute(deadlines):
        found[dag_id].dues.append(Due(run, at, missed, alert or ""))
