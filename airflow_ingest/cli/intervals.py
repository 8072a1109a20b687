"""From the dates that a user types to the data intervals that Airflow's CronDataIntervalTimetable would give them."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone

import pendulum
from croniter import croniter

from airflow_ingest.config import IngestError

__all__ = ["IntervalError", "intervals_between", "intervals_of", "moment_of", "shown"]

_PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
_UNTIMED = {"@continuous", "@once"}
_SECOND = timedelta(seconds=1)


class IntervalError(IngestError):
    """What was typed names no data interval of the pipeline."""


def intervals_of(text: str, schedule: str | None, zone: str) -> list[tuple[datetime, datetime]]:
    """The data intervals, in UTC and oldest first, that `text` names on a schedule.

    `text` is a date (every interval that starts on that day in `zone`), two dates as `2013-01-01..2013-01-07` (both
    included), or a point in time (the one interval that starts then). Without a cron schedule an interval is a day.
    Raises IntervalError if `text` is none of these, or if no interval starts there.
    """
    first, _, last = text.partition("..")
    if not last and len(text) > len("2013-01-05"):
        return [_interval_at(text, schedule, zone)]
    start, end = _date(first), _date(last or first)
    if end < start:
        raise IntervalError(f"--interval {text}: the last day comes before the first. Write it as EARLIER..LATER.")
    begin, stop = _midnight(start, zone), _midnight(end + timedelta(days=1), zone)
    found = list(intervals_between(begin, stop, schedule, zone))
    if not found:
        tick = _next_tick(begin - _SECOND, schedule, zone)
        raise IntervalError(
            f"--interval {text}: no data interval of the schedule {schedule!r} starts there; "
            f"the next one starts on {tick.astimezone(pendulum.timezone(zone)):%Y-%m-%d at %H:%M}."
        )
    return found


def moment_of(text: str, zone: str) -> datetime | None:
    """The day or time that `text` names, aware; without an offset it is in `zone`. None if it names none."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=pendulum.timezone(zone))


def shown(at: datetime | None, zone: str, *, seconds: bool = False) -> str:
    """A time as it is shown in the timezone `zone`, to the minute unless `seconds` matter; a dash for none."""
    form = "%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M"
    return "-" if at is None else at.astimezone(pendulum.timezone(zone)).strftime(form)


def _interval_at(text: str, schedule: str | None, zone: str) -> tuple[datetime, datetime]:
    try:
        typed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise _not_understood(text) from error
    start = typed.astimezone(timezone.utc) if typed.tzinfo else _aware(typed, zone)
    tick = start if _is_untimed(schedule) else _next_tick(start - _SECOND, schedule, zone)
    if tick != start:
        raise IntervalError(
            f"--interval {text}: no data interval of the schedule {schedule!r} starts then; "
            f"the next one starts at {tick.astimezone(pendulum.timezone(zone)).isoformat()}."
        )
    return start, _next_tick(start, schedule, zone)


def intervals_between(
    begin: datetime, stop: datetime, schedule: str | None, zone: str
) -> Iterator[tuple[datetime, datetime]]:
    """The data intervals, in UTC and oldest first, that start from `begin` on and before `stop`."""
    start = begin if _is_untimed(schedule) else _next_tick(begin - _SECOND, schedule, zone)
    while start < stop:
        end = _next_tick(start, schedule, zone)
        yield start, end
        start = end


def _is_untimed(schedule: str | None) -> bool:
    return schedule is None or schedule in _UNTIMED


def _next_tick(moment: datetime, schedule: str | None, zone: str) -> datetime:
    """The first tick after `moment`. Across a change of clocks, hourly schedules keep their pace in real time."""
    local = moment.astimezone(pendulum.timezone(zone)).replace(tzinfo=None)
    if schedule is None or _is_untimed(schedule):
        return _aware(local + timedelta(days=1), zone)
    cron = croniter(_PRESETS.get(schedule, schedule), local)
    tick: datetime = cron.get_next(datetime)
    every_hour = cron.expanded[1] == ["*"]
    return moment + (tick - local) if every_hour else _aware(tick, zone)


def _aware(local: datetime, zone: str) -> datetime:
    """UTC of a wall clock's time; of a time that comes twice, the second, as Airflow does."""
    moment = pendulum.instance(local.replace(fold=1, tzinfo=None), zone)
    return datetime.fromtimestamp(moment.timestamp(), timezone.utc)


def _midnight(day: date, zone: str) -> datetime:
    return _aware(datetime.combine(day, time.min), zone)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise _not_understood(text) from error


def _not_understood(text: str) -> IntervalError:
    return IntervalError(
        f"--interval {text!r} is not understood. Write a date (2013-01-05), a range of dates (2013-01-01..2013-01-07) "
        "or the start of an interval (2013-01-05T06:00)."
    )
