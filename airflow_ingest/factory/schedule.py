"""When a pipeline runs, and which data interval a run has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAll, AssetAny, CronDataIntervalTimetable

from airflow_ingest.config import AssetSet

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline

_WITHOUT_INTERVALS = ("@once", "@continuous")


def timetable(pipeline: Pipeline) -> Any:
    """What Airflow's DAG takes as `schedule`.

    A cron expression or preset becomes a CronDataIntervalTimetable: left as text, Airflow would give its runs data
    intervals without length.
    """
    schedule = pipeline.schedule
    if schedule is None or schedule in _WITHOUT_INTERVALS:
        return schedule
    if isinstance(schedule, str):
        return CronDataIntervalTimetable(schedule, timezone=pipeline.timezone)
    return _assets(schedule.condition)


def _assets(condition: AssetSet) -> AssetAll | AssetAny:
    several = AssetAny if condition.all is None else AssetAll
    return several(*(_assets(entry) if isinstance(entry, AssetSet) else Asset(entry) for entry in condition.entries))
