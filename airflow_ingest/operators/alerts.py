"""The last task of a pipeline that has `alerts`: it looks at the run as a whole and tells people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_ingest._context import run_info
from airflow_ingest._form import is_chosen
from airflow_ingest._logs import name_task_in_logs
from airflow_ingest.graph import StepKind
from airflow_ingest.graph.model import BEHIND, CHECK_CIRCUIT, RECORD_RUN, SEND_ALERTS
from airflow_ingest.notifications.alert import Alert, RunLabel
from airflow_ingest.notifications.delivery import deliver
from airflow_ingest.notifications.incidents import RunSeen, TableSeen, incidents
from airflow_ingest.operators.runs import SeenRun, belongs_to

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config.pipeline import Alerts
    from airflow_ingest.lakehouse import RunInfo, TableRecord

_KEY = "unwell"


class SendAlertsOperator(BaseOperator):
    """Tell people what happened in the run: one mail for each kind of event, and the notifiers of its level.

    It never fails a run: what cannot be sent is logged. Returns whether the run leaves something to put right, and the
    subjects of what was sent.

    :param alerts: who is told of what
    :param tables: the pipeline's tables, with the share of rejected rows above which people are told
    :param gold: its gold tables
    :param secretive: tables whose errors might show masked values
    :param pipeline: the pipeline's name; left out, the DAG's id
    """

    ui_color = "#eeeeee"
    chosen_as: str | None = None
    """As of `IntervalTemplates`: "" in the DAG of a pipeline, whose form it heeds when it looks at the run."""

    def __init__(
        self,
        *,
        alerts: Alerts,
        tables: Mapping[str, float],
        gold: Sequence[str] = (),
        secretive: Sequence[str] = (),
        pipeline: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"execution_timeout": timedelta(minutes=10), **kwargs, "retries": 0})
        self.alerts = alerts
        self.tables = dict(tables)
        self.gold = tuple(gold)
        self.secretive = frozenset(secretive)
        self.pipeline = pipeline

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Look at the run and send."""
        name_task_in_logs(pipeline=self.pipeline or context["dag"].dag_id, run_id=context["dag_run"].run_id)
        try:
            asked = run_info(context, self.pipeline)
            run, span = self._seen(context, asked), asked.interval
            label = RunLabel.of(context["dag_run"], context["dag"].dag_id)
            label = replace(label, interval=(span.start, span.end) if span else None)
            found = list(alerts_of(run, label, self.alerts))
        except Exception as error:
            self.log.warning("The run could not be looked at, so nobody is told of it: %s", error)
            return None
        self._keep(context, run.unwell)
        for alert in found:
            self.log.info("%s", alert.text)
        told = deliver(found, self.alerts, {**context})
        return {_KEY: run.unwell, "told": told}

    def _seen(self, context: Context, run: RunInfo) -> RunSeen:
        ti, dag_id = context["ti"], context["dag"].dag_id
        states = ti.get_task_states(dag_id, run_ids=[run.run_id])[run.run_id]

        @cache
        def result(task: str) -> Any:
            return ti.xcom_pull(task_ids=task) if states.get(task) == "success" else None

        started = context["dag_run"].start_date or datetime.now(timezone.utc)
        seen = SeenRun(run, started, states, result)
        written = result(RECORD_RUN) or {}
        records = [*(seen.table(name) for name in self.tables), *(seen.gold(name) for name in self.gold)]
        known = written.get("tables") or {}
        tables = [self._table(record, known, states, result) for record in records]
        tables = [replace(table, chosen=is_chosen(context, table.name)) for table in tables]
        told = {task for table in tables if table.record.status in ("failed", "held") for task in table.failed}
        return RunSeen(
            tables,
            failed=[task for task, state in states.items() if state == "failed" and task not in {*told, *BEHIND}],
            before=result(CHECK_CIRCUIT),
            after=written.get("circuit"),
            unwell_before=self._unwell_before(context, run),
            takes_what_comes=run.kind == "live",
        )

    def _table(
        self, record: TableRecord, written: Mapping[str, Any], states: Mapping[str, str | None], result: Any
    ) -> TableSeen:
        """The table with what `record_run` knows of its failure."""
        told = written.get(record.table) or {}
        if record.status == "failed" and told.get("error"):
            record = record.model_copy(
                update={"error": told["error"], "attempts": told.get("attempts", record.attempts)}
            )
        failed = [task for task, state in states.items() if state == "failed" and belongs_to(task, record.table)]
        secretive = record.table in self.secretive
        if record.table not in self.tables:
            rules = (result(record.table) or {}).get("rules", ())
            return TableSeen(record, failed, rules=rules, secretive=secretive)
        ingest, gate = (f"{record.table}.{kind.value}" for kind in (StepKind.INGEST, StepKind.GATE))
        gates = result(gate) or []
        return TableSeen(
            record,
            failed,
            ingest=result(ingest),
            skipped=states.get(ingest) == "skipped",
            gates=[gates] if isinstance(gates, dict) else gates,
            alert_reject_rate=self.tables[record.table],
            secretive=secretive,
        )

    def _unwell_before(self, context: Context, run: RunInfo) -> bool:
        """Whether the run before was unwell, or this one was before it was cleared."""
        ti = context["ti"]
        try:
            store = context.get("task_state_store")
            if store is not None and store.get(_KEY):
                return True
            before = None if run.kind == "backfill" else ti.get_previous_dagrun()
            if before is None:
                return False
            told = ti.xcom_pull(task_ids=SEND_ALERTS, run_id=before.run_id)
            return str(getattr(before.state, "value", before.state)) == "failed" or bool(told and told.get(_KEY))
        except Exception as error:
            self.log.warning("It cannot be told how the run before ended: %s", error)
            return False

    def _keep(self, context: Context, unwell: bool) -> None:
        """Remember it for the case that this run is cleared."""
        store = context.get("task_state_store")
        try:
            if store is not None:
                store.set(_KEY, unwell)
        except Exception as error:
            self.log.warning("The task state store cannot be written: %s", error)


def alerts_of(run: RunSeen, label: RunLabel, alerts: Alerts) -> list[Alert]:
    """What people are told of `run`, at the levels that `alerts` gives."""
    return [
        Alert(found.event, level, label, found.headline, found.facts, found.advice, found.tables)
        for found in incidents(run)
        if (level := alerts.level(found.event)) != "none"
    ]
