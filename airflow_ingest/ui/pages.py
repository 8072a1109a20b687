"""Pages for people who are logged in and may see the DAGs: how all tables stand, and what a table's gate found lately.

Both are answered from Airflow's database alone, so neither Spark nor the lake is needed for them.
"""

from datetime import datetime, timezone
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import ReadableXComFilterDep, requires_access_dag
from airflow.models.xcom import XCOM_RETURN_KEY, XComModel
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from airflow_ingest.lakehouse.quality.report import report_page
from airflow_ingest.lakehouse.quality.trend import trend_of_gates
from airflow_ingest.ui.inline import policy, read
from airflow_ingest.ui.status.facts import facts_of
from airflow_ingest.ui.status.forms import forms_of
from airflow_ingest.ui.status.page import SCRIPTS, STYLE, status_page
from airflow_ingest.ui.status.summary import summary_of

_RUNS = 30
_THEME = "theme.js"


def pages() -> FastAPI:
    """The application."""
    app = FastAPI(title="airflow-ingest", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.auth_manager = get_auth_manager()  # where Airflow's dependencies look for it
    may_see = Depends(requires_access_dag("GET", DagAccessEntity.XCOM))
    app.get("/quality/{dag_id}/{task_id}", dependencies=[may_see], response_class=HTMLResponse)(quality)
    app.get("/status", dependencies=[may_see], response_class=HTMLResponse)(status)
    return app


def status(session: SessionDep, readable: ReadableXComFilterDep) -> HTMLResponse:
    """How the pipelines stand that the user may read."""
    dags, now = readable.value or set(), datetime.now(timezone.utc)
    page = status_page(summary_of(facts_of(session, dags), forms_of(session, dags), now), now)
    return HTMLResponse(page, headers={"Content-Security-Policy": policy(STYLE, *SCRIPTS), "Cache-Control": "no-store"})


def quality(dag_id: str, task_id: str, session: SessionDep) -> HTMLResponse:
    """The history of a gate's rules over its last runs. Raises HTTPException 404 for a task that is no gate."""
    newest = (
        select(XComModel)
        .where(XComModel.dag_id == dag_id, XComModel.task_id == task_id, XComModel.key == XCOM_RETURN_KEY)
        .order_by(XComModel.timestamp.desc())
        .limit(_RUNS)
    )
    found = [(xcom.timestamp, xcom.run_id, XComModel.deserialize_value(xcom)) for xcom in session.scalars(newest)]
    gates = [(at, run_id, each) for at, run_id, value in found for each in _items(value) if _is_gate(each)]
    if not gates:
        raise HTTPException(404, f"{task_id} of {dag_id} is no quality gate, or has judged nothing yet.")
    page = report_page(f"{dag_id}: {task_id}", trend_of_gates(gates), datetime.now(timezone.utc), script=read(_THEME))
    return HTMLResponse(page, headers={"Content-Security-Policy": policy("'unsafe-inline'", _THEME)})


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_gate(value: Any) -> bool:
    return isinstance(value, dict) and {"decision", "rules", "batch"} <= value.keys()
