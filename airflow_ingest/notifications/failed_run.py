"""What Airflow calls, in the dag-processor, when a run has failed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_ingest.notifications.alert import Alert, RunLabel, listed
from airflow_ingest.notifications.delivery import deliver

if TYPE_CHECKING:
    from airflow_ingest.config.pipeline import Alerts

log = logging.getLogger(__name__)

_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
_WHY = {
    "timed_out": "the run was cut off by its dagrun_timeout",
    "all_tasks_deadlocked": "the run is stuck: what is left of it waits for itself",
}
_ADVICE = (
    "Open the run and look at what it was doing. Clear it to have it go on; what has landed in bronze is not lost."
)


@dataclass(frozen=True)
class FailedRun:
    """Tells of runs that failed and whose task `last` could not tell of them, as it did not run or did not end well."""

    alerts: Alerts
    last: str

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Look at the run and tell. What goes wrong is logged and raised to nobody."""
        try:
            if alert := self.alert(context, _states(context)):
                deliver([alert], self.alerts, context)
        except Exception as error:
            log.warning("Nobody could be told that the run failed: %s: %s", type(error).__name__, error)

    def alert(self, context: Mapping[str, Any], states: Mapping[str, str | None]) -> Alert | None:
        """What to tell of the run, by the states of its tasks; None if that has been told."""
        level, state, reason = self.alerts.level("failure"), states.get(self.last), str(context.get("reason"))
        cleared = reason == "task_failure" and state not in _ENDED  # somebody was quicker than the dag-processor
        if state == "success" or cleared or level == "none":
            return None
        dag_run, dag_id = context.get("dag_run"), context["dag"].dag_id
        label = RunLabel.of(dag_run, dag_id) if dag_run else RunLabel(dag_id, context["run_id"], "run")
        failed = [task for task, state in states.items() if state == "failed"]
        facts = [f"Failed: {listed(failed)}."] if failed else []
        if ti := context.get("ti"):
            facts.append(f"The last task that was going on: {ti.task_id}.")
        headline = _WHY.get(reason, "the run failed")
        return Alert("failure", level, label, headline, tuple(facts), _ADVICE)


def _states(context: Mapping[str, Any]) -> Mapping[str, str | None]:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    run_id: str = context["run_id"]
    found = RuntimeTaskInstance.get_task_states(context["dag"].dag_id, run_ids=[run_id])
    states: Mapping[str, str | None] = found.get(run_id, {})
    return states
