"""From when a deadline counts. Every process of Airflow imports this module, by way of the plugin."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.deadline import BaseDeadlineReference

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


@dataclass(eq=False)
class IntervalEnd(BaseDeadlineReference):
    """The end of the data interval, for runs of the schedule; backfills and manual runs have no deadline.

    Nor has a run that catches up: one whose deadline is over, and the next interval too, when it is created. Of a
    pipeline that begins with ten years behind it nobody wants to hear ten years of deadlines.

    within: how long after the end the deadline is
    """

    within: timedelta = timedelta()

    required_kwargs = frozenset({"dag_id", "run_id"})

    def serialize_reference(self) -> dict[str, Any]:
        """The reference as plain data."""
        return {**super().serialize_reference(), "within": self.within.total_seconds()}

    @classmethod
    def deserialize_reference(cls, reference_data: dict[str, Any]) -> IntervalEnd:
        """The reference that `serialize_reference` made `reference_data` of."""
        return cls(timedelta(seconds=reference_data["within"]))

    def _evaluate_with(self, *, session: Session, dag_id: str, run_id: str) -> datetime | None:
        """Called in the scheduler, and in the API server for runs that are asked for there."""
        from airflow.models import DagRun
        from sqlalchemy import select

        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        if run is None or run.run_type != "scheduled" or not (run.data_interval_start and run.data_interval_end):
            return None
        start, end = run.data_interval_start, run.data_interval_end
        catches_up = end + max(end - start, self.within) <= datetime.now(timezone.utc)
        return None if catches_up else end
