"""The command line's intervals are those of Airflow's CronDataIntervalTimetable."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_ingest.cli.intervals import IntervalError, intervals_of

SCHEDULES = ["@daily", "@hourly", "@weekly", "30 2 * * *", "0 */6 * * *", "*/30 * * * *", "15 1,2 * * *"]


def _texts(intervals: list[tuple[datetime, datetime]]) -> list[tuple[str, str]]:
    return [(start.strftime("%m-%dT%H:%MZ"), end.strftime("%m-%dT%H:%MZ")) for start, end in intervals]


@pytest.mark.parametrize(
    ("text", "schedule", "zone", "expected"),
    [
        pytest.param("2013-01-05", "@daily", "UTC", [("01-05T00:00Z", "01-06T00:00Z")], id="a day"),
        pytest.param("2013-01-05", None, "UTC", [("01-05T00:00Z", "01-06T00:00Z")], id="no schedule: a day"),
        pytest.param("2013-01-05", "@daily", "America/New_York", [("01-05T05:00Z", "01-06T05:00Z")], id="timezone"),
        pytest.param("2013-01-05", "30 6 * * *", "UTC", [("01-05T06:30Z", "01-06T06:30Z")], id="not at midnight"),
        pytest.param("2013-01-06", "@weekly", "UTC", [("01-06T00:00Z", "01-13T00:00Z")], id="a week"),
        pytest.param("2013-02-01", "@monthly", "UTC", [("02-01T00:00Z", "03-01T00:00Z")], id="a month"),
        pytest.param("2013-03-10", "@daily", "America/New_York", [("03-10T05:00Z", "03-11T04:00Z")], id="23 hours"),
        pytest.param(
            "2013-01-30..2013-02-01",
            "@daily",
            "UTC",
            [("01-30T00:00Z", "01-31T00:00Z"), ("01-31T00:00Z", "02-01T00:00Z"), ("02-01T00:00Z", "02-02T00:00Z")],
            id="a range includes both ends",
        ),
        pytest.param(
            "2013-01-05",
            "0 */12 * * *",
            "UTC",
            [("01-05T00:00Z", "01-05T12:00Z"), ("01-05T12:00Z", "01-06T00:00Z")],
            id="all of a day",
        ),
        pytest.param("2013-01-05T12:00", "0 */12 * * *", "UTC", [("01-05T12:00Z", "01-06T00:00Z")], id="one of a day"),
        pytest.param(
            "2013-01-05T05:00Z", "@daily", "America/New_York", [("01-05T05:00Z", "01-06T05:00Z")], id="instant"
        ),
    ],
)
def test_what_is_typed_names_these_intervals(
    text: str, schedule: str | None, zone: str, expected: list[tuple[str, str]]
) -> None:
    assert _texts(intervals_of(text, schedule, zone)) == expected


@pytest.mark.parametrize(
    ("text", "schedule", "message"),
    [
        ("yesterday", "@daily", "is not understood. Write a date (2013-01-05)"),
        ("2013-01-07..2013-01-01", "@daily", "the last day comes before the first"),
        ("2013-01-05", "@weekly", "the next one starts on 2013-01-06 at 00:00"),
        ("2013-01-05T07:00", "@daily", "the next one starts at 2013-01-06T00:00:00+00:00"),
    ],
)
def test_what_names_no_interval_is_refused_with_what_would(text: str, schedule: str, message: str) -> None:
    with pytest.raises(IntervalError) as caught:
        intervals_of(text, schedule, "UTC")
    assert message in str(caught.value)


@pytest.mark.airflow
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("first", ["2013-03-08", "2013-03-29", "2013-10-04", "2013-10-25", "2013-11-01"])
def test_airflow_cuts_the_same_intervals(schedule: str, zone: str, first: str) -> None:
    import pendulum
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable

    begin = datetime.fromisoformat(first)
    ours = intervals_of(f"{first}..{(begin + timedelta(days=9)).date()}", schedule, zone)
    timetable = CronDataIntervalTimetable(schedule, pendulum.timezone(zone))
    restriction = TimeRestriction(earliest=pendulum.instance(begin, zone), latest=None, catchup=True)
    last: Any = None
    for start, end in ours:
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        assert info is not None
        last = info.data_interval
        assert (start, end) == (last.start, last.end)
