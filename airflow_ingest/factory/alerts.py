"""`alerts` → the task that tells people, and the callback for what that task cannot tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_ingest.factory.arguments import refuse
from airflow_ingest.graph.model import SEND_ALERTS
from airflow_ingest.notifications.failed_run import FailedRun
from airflow_ingest.notifications.notifiers import notifier_problems
from airflow_ingest.operators import SendAlertsOperator

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_ingest.config import Pipeline


def send_alerts(pipeline: Pipeline, common: Mapping[str, Any], last: BaseOperator) -> None:
    """Put the task that tells people behind `last`, which is behind all others."""
    assert pipeline.alerts is not None
    names = [*(f"silver.{name}" for name in pipeline.tables), *(f"gold.{name}" for name in pipeline.gold)]
    task = SendAlertsOperator(
        task_id=SEND_ALERTS,
        alerts=pipeline.alerts,
        tables={name: table.quality.alert_reject_rate for name, table in pipeline.tables.items()},
        gold=list(pipeline.gold),
        secretive=[name.removeprefix("silver.") for name in names if pipeline.masked(name)],
        dag=last.dag,
        **common,
    )
    task.chosen_as = ""
    task.set_upstream(last)
    task.as_teardown()


def tell_of_failed_run(pipeline: Pipeline) -> FailedRun | None:
    """The callback for runs that end before their last tasks can tell of them; None without `alerts`."""
    return FailedRun(pipeline.alerts, SEND_ALERTS) if pipeline.alerts is not None else None


def check_notifiers(pipeline: Pipeline, file: str) -> None:
    """Import the notifiers of `pipeline`; raises ConfigError for those that are none or take other arguments."""
    problems = list(notifier_problems(pipeline.alerts))
    if problems:
        refuse(file, problems)
