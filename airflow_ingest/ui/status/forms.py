"""The DAGs that people start from a form, and what they have done with them: letters replayed, batches decided."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_ingest.factory.by_hand import DECIDES, REPLAYS
from airflow_ingest.ui.status.facts import value_of

_LOOKED_AT = 1000


@dataclass(frozen=True)
class Done:
    """What a form's run has done `at` a time: so many letters `replayed`, a held batch `decided` about."""

    at: datetime
    replayed: int = 0
    decided: int = 0


@dataclass
class Forms:
    """The forms' DAGs by the file that they come from, and what was `done`, by `<pipeline>.<table>`."""

    replay: dict[str, str] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    done: dict[str, list[Done]] = field(default_factory=dict)

    @staticmethod
    def serving(forms: Mapping[str, str], file: str) -> str | None:
        """The one among `forms` that serves the pipelines of `file`: the loader's own, or else the first there is."""
        return forms.get(file) or next(iter(forms.values()), None)


def forms_of(session: Session, readable: Collection[str]) -> Forms:
    """The forms that the user may read."""
    tagged = (
        select(DagTag.name, DagModel.dag_id, DagModel.fileloc)
        .join(DagModel, DagModel.dag_id == DagTag.dag_id)
        .where(DagTag.name.in_((REPLAYS, DECIDES)), DagModel.is_stale.is_(False), DagModel.dag_id.in_(readable))
        .order_by(DagModel.dag_id)
    )
    forms = Forms()
    for tag, dag_id, file in session.execute(tagged):
        (forms.replay if tag == REPLAYS else forms.held).setdefault(file or "", dag_id)
    dag_ids = [*forms.replay.values(), *forms.held.values()]
    if dag_ids:
        _read_done(session, forms, dag_ids)
    return forms


def _read_done(session: Session, forms: Forms, dag_ids: Collection[str]) -> None:
    told = (
        select(XComModel.timestamp, XComModel.value, DagRun.conf)
        .join(DagRun, DagRun.id == XComModel.dag_run_id)
        .where(XComModel.dag_id.in_(dag_ids), XComModel.key == XCOM_RETURN_KEY)
        .order_by(XComModel.timestamp.desc())
        .limit(_LOOKED_AT)
    )
    for row in session.execute(told):
        value = value_of(row)
        table = (row.conf or {}).get("table")
        if not isinstance(value, dict) or not isinstance(table, str):
            continue
        replayed = 0 if value.get("dry_run") else value.get("replayed", 0)
        forms.done.setdefault(table, []).append(Done(row.timestamp, replayed, int("decision" in value)))
