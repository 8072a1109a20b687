"""What a task's attempt has planned, for its retry: kept in Airflow's task state store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_ingest._logs import name_in_logs

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class TaskPins:
    """The `airflow_ingest.lakehouse.pins.Pins` of one task instance.

    Clearing a task that has ended gives it new tries (`max_tries` grows), and that is a deliberate run, which plans
    anew. A retry, and a task that is cleared while it runs, keep their number of tries and their plan. A store that
    cannot be reached costs a retry its plan, and never fails a load: what a new plan writes takes the old one's place.
    """

    def __init__(self, context: Context, part: str = "") -> None:
        """:param part: what tells apart the plans of a task that makes several"""
        self._part = part
        self._store: Any = context.get("task_state_store")
        self._tries = getattr(context["ti"], "max_tries", 0)
        self._taken: set[str] = set()

    def take(self, key: str) -> Any:
        """What an earlier attempt put, once."""
        if self._store is None or key in self._taken:
            return None
        self._taken.add(key)
        try:
            found = self._store.get(f"{self._part}{key}")
        except Exception as error:
            log.warning("The task state store cannot be read, so this attempt plans anew: %s", error)
            return None
        if not isinstance(found, dict) or found.get("tries") != self._tries:
            return None
        _name_batch(found["value"])
        return found["value"]

    def put(self, key: str, value: Any) -> None:
        """Keep it for the next attempt."""
        _name_batch(value)
        if self._store is None:
            return
        try:
            self._store.set(f"{self._part}{key}", {"tries": self._tries, "value": value})
        except Exception as error:
            log.warning("The task state store cannot be written, so a retry would plan anew: %s", error)


def _name_batch(value: Any) -> None:
    """A plan is a batch, and the lines to come are about it."""
    if isinstance(value, Mapping) and "id" in value:
        name_in_logs(batch_id=str(value["id"]))
