"""Waiting for a load of another pipeline's table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseSensorOperator

from airflow_ingest._interval import brought, taken
from airflow_ingest.sensors._waiting import Patient

if TYPE_CHECKING:
    from airflow.sdk import Context

_EVENTS = 1000


class AssetLoadedSensor(Patient, BaseSensorOperator):
    """Wait until a table of another pipeline is loaded up to the end of the run's data interval, by its asset's events.

    Of an asset that tells no interval, an event after the end counts. Whatever the schedules of the two are, the load
    that holds the end of the interval is waited for, and not one of a later interval.

    :param asset: the asset's name, `<pipeline>.<layer>.<table>`
    :param timeout, on_timeout, poke_interval, mode: as for `SourceFileSensor`
    """

    ui_color = "#e6f1f2"

    def __init__(self, *, asset: str, **kwargs: Any) -> None:
        super().__init__(inlets=[Asset(asset)], **kwargs)
        self.asset = asset

    def poke(self, context: Context) -> bool:
        """Look once."""
        bounds = taken(context).bounds
        end = bounds[1] if bounds else context["dag_run"].run_after
        events: Any = context["inlet_events"][Asset(self.asset)]
        found = _reaches(events.after(end.isoformat()).ascending(False).limit(_EVENTS), end)
        self.log.info("%s: %s up to %s", self.asset, "loaded" if found else "not loaded yet", end.isoformat())
        return found

    def missing(self) -> str:
        """The table that was not loaded."""
        return (
            f"{self.asset} is still not loaded up to the end of this interval, after {self.timeout:.0f} s. Is its "
            "pipeline paused, or has it failed?"
        )


def _reaches(events: Iterable[Any], end: datetime) -> bool:
    for event in events:
        intervals = list(brought(event.extra or {}))
        if not intervals or any(start < end <= stop for start, stop in intervals):
            return True
    return False
