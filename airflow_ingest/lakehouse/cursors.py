"""Values of a cursor: their kinds, how they are written down and compared, and how SQL has them.

A value travels as text: a number in digits, a date as 2026-01-31, a time in UTC as 2026-01-31 12:00:00.000000+00:00, a
time without a zone as 2026-01-31 12:00:00.000000. A database reads each of them as its column's type.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, TypeAlias

from airflow_ingest.lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

    from airflow_ingest.lakehouse.model import CursorKind, CursorRange, Interval

_Value: TypeAlias = Decimal | date | datetime

_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def kind_of(column: DataType) -> CursorKind | None:
    """What a column of this type counts in; None if it has no order that a cursor could follow."""
    from pyspark.sql import types as t

    kinds: tuple[tuple[type[DataType], CursorKind], ...] = (
        (t.NumericType, "number"),
        (t.DateType, "date"),
        (t.TimestampType, "time"),
        (t.TimestampNTZType, "local_time"),
    )
    return next((kind for type_, kind in kinds if isinstance(column, type_)), None)


def as_text(column: Column, kind: CursorKind) -> Column:
    """A value of this kind on its way out of Spark: `from_spark` takes it."""
    from pyspark.sql import functions as F

    return (F.unix_micros(column) if kind == "time" else column).cast("string")


def from_spark(text: str, kind: CursorKind) -> str:
    """The text of a value, from what `as_text` gave. Raises LakehouseError for one that is not finite."""
    try:
        if kind == "time":
            return _written(_EPOCH + timedelta(microseconds=int(text)), kind)
        return _written(_parsed(text, kind), kind)
    except (ValueError, OverflowError, InvalidOperation) as error:
        raise LakehouseError(f"{text!r} is beyond what a cursor can count: it must be finite.") from error


def literal(text: str) -> str:
    """A value as SQL has it. Raises LakehouseError for a text that is none."""
    if not text or set(text) - set("0123456789+-.:E "):
        raise LakehouseError(f"{text!r} is no value of a cursor.")
    return text if _is_number(text) else f"'{text}'"


def within(range_: CursorRange, column: str) -> str:
    """The condition, as SQL has it, that a cursor lies in `range_`; `column` is the cursor's quoted name."""
    if range_.high is None:
        return "1 = 0"
    above, below = (">", "<=") if range_.closed == "right" else (">=", "<")
    low = f"{column} {above} {literal(range_.low)} AND " if range_.low is not None else ""
    return f"{low}{column} {below} {literal(range_.high)}"


def greater(one: str, other: str, kind: CursorKind) -> str:
    """The greater of two values."""
    return max(one, other, key=lambda text: _parsed(text, kind))


def back(text: str, kind: CursorKind, lookback: timedelta | int) -> str:
    """The value that lies so far before `text`. Raises LakehouseError if that is measured in something else."""
    if isinstance(lookback, int) != (kind == "number"):
        fitting = "a whole number, such as 1000" if kind == "number" else "a duration, such as 10m"
        raise LakehouseError(f"the cursor is a {kind.replace('_', ' ')}, so its `lookback` has to be {fitting}.")
    value = _parsed(text, kind)
    if isinstance(value, Decimal):
        return _written(value - Decimal(lookback if isinstance(lookback, int) else 0), kind)
    assert isinstance(lookback, timedelta)
    return _written(value - (-(-lookback // _DAY) * _DAY if kind == "date" else lookback), kind)


def bounds(interval: Interval, kind: CursorKind) -> tuple[str, str]:
    """The ends of a data interval. Of dates, those count whose midnight (UTC) lies in it. Not for numbers."""
    ends = (end.astimezone(timezone.utc) for end in (interval.start, interval.end))
    low, high = (_written(_first_date(end) if kind == "date" else end, kind) for end in ends)
    return low, high


def cuts(low: str, high: str, kind: CursorKind, parts: int) -> list[str]:
    """The values between `low` and `high` that cut them into so many ranges of one width, or fewer of narrow ones."""
    start, end = _parsed(low, kind), _parsed(high, kind)
    if isinstance(start, Decimal) and isinstance(end, Decimal):
        whole = start == start.to_integral_value() and end == end.to_integral_value()
        numbers = [start + (end - start) * part / parts for part in range(1, parts)]
        found: list[_Value] = [number.to_integral_value() if whole else number for number in numbers]
    else:
        assert not isinstance(start, Decimal)
        assert not isinstance(end, Decimal)
        found = [start + (end - start) * part / parts for part in range(1, parts)]
    texts = dict.fromkeys(_written(value, kind) for value in found)
    return [text for text in texts if text != _written(start, kind)]


def moment(text: str | None, kind: CursorKind) -> datetime | None:
    """A value as a point in time; None for a number."""
    if text is None or kind == "number":
        return None
    value = _parsed(text, kind)
    assert isinstance(value, date)
    return (value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)).replace(  # noqa: DTZ001
        tzinfo=timezone.utc
    )


def _parsed(text: str, kind: CursorKind) -> _Value:
    if kind == "number":
        number = Decimal(text)
        if not number.is_finite():
            raise ValueError(text)
        return number
    return date.fromisoformat(text) if kind == "date" else _datetime(text)


def _datetime(text: str) -> datetime:
    """Before Python 3.11, fromisoformat wants three or six digits of a second's fraction."""
    head, dot, fraction = text.partition(".")
    digits, plus, zone = fraction.partition("+")
    return datetime.fromisoformat(f"{head}.{digits:0<6}{plus}{zone}" if dot else head)


def _written(value: _Value, kind: CursorKind) -> str:
    if isinstance(value, Decimal):
        return format(value, "f") if abs(value.adjusted()) < 40 else str(value)
    if not isinstance(value, datetime):
        return value.isoformat()
    aware = value if kind == "time" else value.replace(tzinfo=None)
    return aware.isoformat(sep=" ", timespec="microseconds")


def _first_date(end: datetime) -> date:
    midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight.date() if midnight == end else (midnight + _DAY).date()


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False
