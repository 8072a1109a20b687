"""Deadlines that were missed, as Airflow's own database knows them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_ingest.notifications.sla import IN_TIME, TOLD, tell_of_miss

if TYPE_CHECKING:
    from airflow.models.callback import Callback
    from sqlalchemy.orm import Session

_PATH = f"{tell_of_miss.__module__}.{tell_of_miss.__qualname__}"
_DECIDED = ("success", "failed")


@dataclass(frozen=True)
class MissedDeadline:
    """A deadline that a run missed, or a table in it; `table` is empty for the run as a whole.

    `told`: whether the mail went out; None while it is under way.
    """

    pipeline: str
    run_id: str
    table: str
    deadline: datetime
    told: bool | None


def missed_deadlines(session: Session, pipelines: Collection[str], *, since: datetime) -> list[MissedDeadline]:
    """What `pipelines` missed since then, the newest first, from Airflow's tables of deadlines and their callbacks.

    Airflow knows deadlines of runs alone. Whether a table was late is what the callback found, so it is listed once
    that has looked.
    """
    from airflow.models import DagRun, Deadline
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    query = (
        select(Deadline, DagRun.dag_id, DagRun.run_id)
        .join(DagRun, Deadline.dagrun_id == DagRun.id)
        .where(Deadline.missed, Deadline.deadline_time >= since, DagRun.dag_id.in_(pipelines))
        .options(joinedload(Deadline.callback))
        .order_by(Deadline.deadline_time.desc())
    )
    found = []
    for deadline, dag_id, run_id in session.execute(query):
        callback: Callback = deadline.callback
        if callback.data.get("path") != _PATH or callback.output == IN_TIME:
            continue
        table = callback.data["kwargs"].get("table", "")
        decided = callback.state in _DECIDED
        if decided or not table:
            told = callback.output == TOLD if decided else None
            found.append(MissedDeadline(dag_id, run_id, table, deadline.deadline_time, told))
    return found
