"""Which data interval a run takes, however it was started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import CronDataIntervalTimetable

from airflow_ingest._form import asked_interval

if TYPE_CHECKING:
    from airflow.sdk import Context

Bounds = tuple[datetime, datetime]


@dataclass(frozen=True)
class Taken:
    """The data intervals of a run, oldest first, and how it came by them.

    There are several only where another pipeline brought several batches before the run began, and none where the run
    follows a replay of dead letters alone (`replay`), which belong to many batches.
    """

    intervals: tuple[Bounds, ...] = ()
    origin: str = "its own"
    asked: bool = False
    replay: bool = False

    @property
    def bounds(self) -> Bounds | None:
        """From the start of the first to the end of the last; None for a run that has no interval."""
        if not self.intervals:
            return None
        return min(start for start, _ in self.intervals), max(end for _, end in self.intervals)

    def __str__(self) -> str:
        shown = [f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}" for start, end in self.intervals]
        return f"{', '.join(shown) or 'none'} ({self.origin})"

    def to_dict(self) -> dict[str, str] | None:
        """What a task's result says of it."""
        if (bounds := self.bounds) is None:
            return None
        return {"start": bounds[0].isoformat(), "end": bounds[1].isoformat(), "origin": self.origin}


def taken(context: Context) -> Taken:
    """The data intervals of a run: those asked for in its form, else its own, else those of the batches that triggered
    it, else, where its DAG has a cron schedule, the newest complete one.

    Raises AirflowFailException for a form that asks for what cannot be.
    """
    dag_run = context["dag_run"]
    if asked := asked_interval(context):
        return Taken((asked,), "asked for in the form", asked=True)
    start, end = dag_run.data_interval_start, dag_run.data_interval_end
    if start is not None and end is not None:
        return Taken(((start, end),))
    if events := list(_events(context)):
        found = sorted({bounds for _, extra in events for bounds in brought(extra)})
        origin = f"of the batches of {', '.join(sorted({name for name, _ in events}))}"
        return Taken(tuple(found), origin, replay=not found and any("replayed" in extra for _, extra in events))
    if newest := _newest_complete(context):
        return Taken((newest,), "the newest complete one of the schedule")
    return Taken(origin="the run has no date")


def _events(context: Context) -> Iterator[tuple[str, Mapping[str, Any]]]:
    triggering: Any = context.get("triggering_asset_events") or {}
    for key, events in triggering.items():
        for event in events:
            yield str(getattr(key, "name", key)), event.extra or {}


def brought(extra: Mapping[str, Any]) -> Iterator[Bounds]:
    """The intervals that a load tells of on its asset event: those of its batches, else that of its run."""
    loads = extra.get("loads") or [extra]
    found = [interval for load in loads if (interval := (load.get("batch") or {}).get("interval"))]
    for interval in found or [own for own in [extra.get("interval")] if own]:
        yield _moment(interval["start"]), _moment(interval["end"])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _newest_complete(context: Context) -> Bounds | None:
    """What Airflow gives a run that is started by hand with a date: the last interval that is over."""
    schedule = getattr(context.get("dag"), "timetable", None)
    if not isinstance(schedule, CronDataIntervalTimetable):
        return None
    import pendulum
    from airflow.timetables import interval

    timetable = interval.CronDataIntervalTimetable(schedule.expression, timezone=schedule.timezone)
    moment = pendulum.instance(context["dag_run"].run_after)
    found = timetable.infer_manual_data_interval(run_after=moment)
    return found.start, found.end
