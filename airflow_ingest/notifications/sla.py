"""What happens when a deadline is missed. Airflow calls it in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_ingest import _metrics
from airflow_ingest.graph import StepKind
from airflow_ingest.graph.model import BEHIND
from airflow_ingest.notifications.alert import Alert, RunLabel, listed, show_time

IN_TIME, TOLD, NOT_TOLD = "in_time", "told", "not_told"
"""What becomes of a deadline. Airflow makes it a tag of a metric, in which it takes no spaces."""
_DONE = ("success", "skipped")
_PAUSES = (15, 60, 300)
"""Seconds between attempts to send the mail: Airflow calls once, and mail servers have bad minutes."""


async def tell_of_miss(*, to: str, within: str, table: str = "", context: dict[str, Any]) -> str:
    """Send a mail to the addresses `to` about a run, or a table of it, that is late.

    Returns what became of it, which Airflow keeps: `IN_TIME` (a table that was there, though its run was still going
    on), `TOLD`, or `NOT_TOLD` where the server has taken the mail at none of four attempts in six minutes.
    """
    return await Miss(to.split(), within, table, context).tell()


@dataclass(frozen=True)
class Miss:
    """A deadline that has passed, with the `context` that Airflow gives a callback."""

    to: list[str]
    within: str
    table: str
    context: Mapping[str, Any]

    async def tell(self) -> str:
        """Look at the run and send the mail if it is late.

        What asks Airflow blocks, and so does its own hook for SMTP (the asynchronous one of the SMTP provider 3.2 fails
        on every server that wants STARTTLS), so both work in a thread.
        """
        from airflow_ingest.notifications.mail import send_mails

        if self._run["run_type"] != "scheduled":
            return IN_TIME  # a backfill took the run over
        alert = await asyncio.to_thread(self._found)
        if alert is None:
            return IN_TIME
        _metrics.deadline_missed(alert.run.pipeline, self.table or None)
        for pause in (*_PAUSES, 0):
            if await asyncio.to_thread(send_mails, self.to, [alert]):
                return TOLD
            await asyncio.sleep(pause)
        return NOT_TOLD

    def _found(self) -> Alert | None:
        return self.alert(self._states())

    def alert(self, states: Mapping[str, str | None]) -> Alert | None:
        """What to tell, by the states of the run's tasks; None if the table was in time."""
        own = {task: state for task, state in states.items() if self._concerns(task)}
        if self.table and own and all(state in _DONE for state in own.values()) and self._ended(own) <= self.deadline:
            return None
        what = f"the table {self.table}" if self.table else "the run"
        facts = [f"{what[0].upper()}{what[1:]} had to be done {self.within} after the end of the data interval."]
        facts += _told("Failed", own, "failed")
        facts += _told("Not run because of that", own, "upstream_failed")
        facts += _told(
            "Running", own, "running", "queued", "deferred", "up_for_retry", "up_for_reschedule", "restarting"
        )
        facts += _told("Not yet begun", own, None, "scheduled")
        if own and all(state in _DONE for state in own.values()):
            facts.append("It is done by now.")
        return Alert(
            event="late",
            level="late",
            run=self._label(),
            headline=f"{self.table or 'the run'} was not done by {show_time(self.deadline)}",
            facts=tuple(facts),
            advice=_ADVICE,
            tables=(self.table,) if self.table else (),
            more=(("deadline", show_time(self.deadline)),),
        )

    @property
    def deadline(self) -> datetime:
        """By when it had to be done."""
        return _time(self.context["deadline"]["deadline_time"])

    @property
    def _run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.context["dag_run"]
        return run

    def _label(self) -> RunLabel:
        run = self._run
        start, end = run.get("data_interval_start"), run.get("data_interval_end")
        interval = (_time(start), _time(end)) if start and end else None
        return RunLabel(run["dag_id"], run["dag_run_id"], run["run_type"], interval)

    def _concerns(self, task: str) -> bool:
        if self.table:
            return task.startswith(f"{self.table}.") and not task.endswith(".profile")
        return task not in BEHIND

    def _states(self) -> dict[str, str | None]:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        run = self._run
        found = RuntimeTaskInstance.get_task_states(run["dag_id"], run_ids=[run["dag_run_id"]])
        states: dict[str, str | None] = found.get(run["dag_run_id"], {})
        return states

    def _ended(self, own: Mapping[str, str | None]) -> datetime:
        """When the table was done, as its last step has said; where it said nothing there was nothing to do."""
        steps = (f"{self.table}.{step.value}" for step in (StepKind.MERGE, StepKind.INGEST))
        last = next((step for step in steps if step in own), "")
        if own.get(last) != "success":
            return self.deadline
        found = self._result(last)
        ended = found.get("ended") if isinstance(found, dict) else None
        return _time(ended) if ended else self.deadline

    def _result(self, task: str) -> Any:
        from airflow.sdk.execution_time.xcom import XCom

        run = self._run
        return XCom.get_one(key="return_value", dag_id=run["dag_id"], task_id=task, run_id=run["dag_run_id"])


_ADVICE = (
    "Open the run and look at what it waits for. It goes on meanwhile, or can be cleared where it failed; this mail is "
    "sent once for the run."
)


def _told(what: str, states: Mapping[str, str | None], *which: str | None) -> list[str]:
    tasks = [task for task, state in states.items() if state in which]
    return [f"{what}: {listed(tasks)}."] if tasks else []


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value).replace("Z", "+00:00"))
