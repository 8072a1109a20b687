"""What was promised of a pipeline or a table, and whether it was kept.

Airflow keeps a deadline for as long as it is pending, or for good once it was missed; one that was met is deleted. A
deadline is a table's own if its alert's name ends with the table's, as in `shop.orders` or `sla orders`; else it is the
pipeline's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from airflow_ingest.ui.status.facts import Due, Facts

_GOOD, _BAD = 0, 3


@dataclass(frozen=True)
class Promise:
    """The SLA of a table, its own or its pipeline's: `state` is empty if it has none.

    `within`: what is allowed, in seconds, where that is fixed; `at`: the deadline that `state` is about; `missed`: how
    many of the last runs missed theirs.
    """

    state: str = ""
    level: int = _GOOD
    within: float | None = None
    at: datetime | None = None
    missed: int = 0


class Promises:
    """The promises of a pipeline, as they stand `now`."""

    def __init__(self, facts: Facts, now: datetime) -> None:
        tables = set(facts.tables)
        self._facts = facts
        self._now = now
        self._alerts = [(about(name, tables), within) for name, within in facts.alerts.items()]
        self._dues = [(about(due.alert, tables), due) for due in facts.dues]
        self._newest = next((run.id for run in facts.runs if run.scheduled), None)

    def of(self, table: str | None) -> Promise:
        """The one made for `table`, where there is none the pipeline's; None asks for the pipeline's alone."""
        own = table if any(subject == table for subject, _ in [*self._alerts, *self._dues]) else None
        allowed = [within for subject, within in self._alerts if subject == own]
        dues = [due for subject, due in self._dues if subject == own]
        if not allowed and not dues:
            return Promise()
        within = allowed[0] if allowed else None
        state, level, at = self._state(dues, within)
        return Promise(state, level, within, at, len({due.run for due in dues if due.missed}))

    def _state(self, dues: Sequence[Due], within: float | None) -> tuple[str, int, datetime | None]:
        of_newest = [due for due in dues if due.run == self._newest]
        gone = [due for due in of_newest if due.missed or due.at < self._now]
        if gone:
            return "missed", _BAD, gone[0].at
        end = self._facts.next_end
        if end and within is not None and not self._facts.paused:
            wanted = end + timedelta(seconds=within)
            if wanted < self._now:
                return "overdue", _BAD, wanted
        return ("due", _GOOD, of_newest[-1].at) if of_newest else ("in time", _GOOD, None)


def about(alert: str, tables: Collection[str]) -> str | None:
    """The one among `tables` with whose name an alert's name ends; None if there is none."""
    ends = (alert[found.end() :] for found in re.finditer(r"^|[\s.:/]", alert))
    return next((end for end in ends if end in tables), None)
