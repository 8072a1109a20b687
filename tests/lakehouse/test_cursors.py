"""Values of a cursor, written down, compared and cut into ranges."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_ingest.lakehouse import Interval, LakehouseError
from airflow_ingest.lakehouse.cursors import back, bounds, cuts, from_spark, greater, literal, moment
from airflow_ingest.lakehouse.model import CursorKind

NOON = "2026-01-02 12:00:00.000000"


@pytest.mark.parametrize(
    ("text", "kind", "written"),
    [
        ("12", "number", "12"),
        ("1.0E3", "number", "1000"),
        ("-0.50", "number", "-0.50"),
        ("2026-01-02", "date", "2026-01-02"),
        ("1767355200000001", "time", "2026-01-02 12:00:00.000001+00:00"),
        ("2026-01-02 12:00:00.5", "local_time", "2026-01-02 12:00:00.500000"),
        ("2026-01-02 12:00:00", "local_time", NOON),
    ],
)
def test_values_come_from_spark(text: str, kind: CursorKind, written: str) -> None:
    assert from_spark(text, kind) == written


@pytest.mark.parametrize(("text", "kind"), [("NaN", "number"), ("292278994-08-17", "date"), ("9" * 19, "time")])
def test_what_is_not_finite_is_refused(text: str, kind: CursorKind) -> None:
    with pytest.raises(LakehouseError, match="must be finite"):
        from_spark(text, kind)


def test_literals_hold_values_alone() -> None:
    assert [literal(text) for text in ("12", "-0.5", NOON)] == ["12", "-0.5", f"'{NOON}'"]
    with pytest.raises(LakehouseError, match="no value of a cursor"):
        literal("1'; DROP TABLE x; --")


def test_numbers_are_compared_as_numbers() -> None:
    assert greater("9", "10", "number") == "10"
    assert greater("2026-01-02", "2026-01-10", "date") == "2026-01-10"


def test_a_lookback_is_measured_as_the_cursor_is() -> None:
    assert back("1000", "number", 10) == "990"
    assert back(f"{NOON}+00:00", "time", timedelta(minutes=10)) == "2026-01-02 11:50:00.000000+00:00"
    assert back("2026-01-02", "date", timedelta(hours=1)) == "2026-01-01"
    with pytest.raises(LakehouseError, match="has to be a whole number"):
        back("1000", "number", timedelta(minutes=10))
    with pytest.raises(LakehouseError, match="the cursor is a local time, so its `lookback` has to be a duration"):
        back(NOON, "local_time", 10)


def test_an_interval_takes_the_dates_whose_midnight_lies_in_it() -> None:
    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 1, day, hour, tzinfo=timezone.utc)

    assert bounds(Interval(start=at(1, 0), end=at(2, 0)), "date") == ("2026-01-01", "2026-01-02")
    assert bounds(Interval(start=at(1, 23), end=at(2, 1)), "date") == ("2026-01-02", "2026-01-03")
    assert bounds(Interval(start=at(1, 5), end=at(1, 6)), "date") == ("2026-01-02", "2026-01-02")
    assert bounds(Interval(start=at(2, 12), end=at(3, 0)), "local_time")[0] == NOON


@pytest.mark.parametrize(
    ("low", "high", "kind", "parts", "expected"),
    [
        ("0", "100", "number", 4, ["25", "50", "75"]),
        ("1", "3", "number", 10, ["2", "3"]),
        ("5", "5", "number", 4, []),
        ("0.0", "0.3", "number", 3, ["0.1", "0.2"]),
        ("2026-01-01", "2026-01-05", "date", 2, ["2026-01-03"]),
        ("2026-01-02 00:00:00.000000", "2026-01-03 00:00:00.000000", "local_time", 2, [NOON]),
    ],
)
def test_ranges(low: str, high: str, kind: CursorKind, parts: int, expected: list[str]) -> None:
    assert cuts(low, high, kind, parts) == expected


def test_a_value_is_a_moment_unless_it_is_a_number() -> None:
    assert moment("12", "number") is None
    assert moment("2026-01-02", "date") == datetime(2026, 1, 2, tzinfo=timezone.utc)
    assert moment(NOON, "local_time") == datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
