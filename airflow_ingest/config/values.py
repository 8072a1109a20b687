"""The small values of the language: durations, rates, names; and how a message shows a value."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

KeyPath = tuple[str | int, ...]

NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile(r"([0-9]+)([smhd])\Z")
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*%\Z")
_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>.]+\Z")


class Expanded(str):
    """A text that holds an environment variable's value; messages show `raw`, what the file says."""

    __slots__ = ("raw",)
    raw: str


def quote(value: object) -> str:
    """Show a value of the configuration in a message, short and never with an environment variable's content."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = value.raw if isinstance(value, Expanded) else str(value)
    shown = text if len(text) <= 60 else text[:57] + "..."
    return shown if isinstance(value, int | float) else f'"{shown}"'


def unexpanded(value: str, message: str) -> str:
    """Put what the file says into a message that shows the whole of a text."""
    return message.replace(str(value), value.raw) if isinstance(value, Expanded) else message


def nearest(word: object, known: Iterable[str]) -> str:
    """Return `Did you mean "…"?` for the nearest of `known`, or nothing."""
    choices = list(known)
    folded = {choice.casefold(): choice for choice in choices}
    found = get_close_matches(str(word).casefold(), folded, n=1, cutoff=0.6)
    return f'Did you mean "{folded[found[0]]}"?' if found else ""


def one_of(words: Iterable[str], last: str = "or") -> str:
    """Join words for a sentence: a, b or c."""
    *first, end = words
    return f"{', '.join(first)} {last} {end}" if first else end


def words(text: str) -> frozenset[str]:
    """Return the words of a text as a set."""
    return frozenset(text.split())


def wrong(problem: str, hint: str = "") -> PydanticCustomError:
    """The error that a validator raises: `problem` follows the key's path, `hint` says what to write."""
    return PydanticCustomError("config", "{problem}", {"problem": problem, "hint": hint})


def parse_duration(value: Any) -> timedelta:
    """Read `30s`, `5m`, `2h` or `1d`. Raises an error that pydantic reports for anything else."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        hint = f"Did you mean {value}s, {value}m, {value}h or {value}d?" if _is_number(value) else _DURATION_HINT
        raise wrong(f"{quote(value)} is not a duration", hint)
    try:
        duration = timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    except OverflowError:
        raise wrong(f"{quote(value)} is too long a time") from None
    if not duration:
        raise wrong(f"{quote(value)} is no time at all", "Write a duration above zero, or leave the key out.")
    return duration


_DURATION_HINT = "A duration is a whole number and a unit: 30s, 5m, 2h, 1d."


def format_duration(duration: timedelta) -> str:
    """Write a duration of whole seconds as the language does; the inverse of `parse_duration`."""
    seconds = int(duration.total_seconds())
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0)
    return f"{seconds // size}{unit}"


def parse_lookback(value: Any) -> timedelta | int:
    """Read a duration, or a whole number above zero for a cursor that counts."""
    if not isinstance(value, int) or isinstance(value, bool):
        return parse_duration(value)
    if value < 1:
        raise wrong(f"{quote(value)} is no way back", "Write a number above zero, or leave the key out.")
    return value


def parse_rate(value: Any) -> float:
    """Read `5%` or `0.05` as 0.05. Raises an error that pydantic reports for anything else."""
    if isinstance(value, str):
        match = _RATE.match(value)
        rate = float(match[1]) / 100 if match else _number(value)
    else:
        rate = float(value) if _is_number(value) else None
    if rate is None:
        raise wrong(f"{quote(value)} is not a rate", "A rate is a percentage or a fraction: 5% or 0.05.")
    if not 0 <= rate <= 1:
        hint = f"Did you mean {value}%?" if _is_number(value) and 1 < rate <= 100 else ""
        raise wrong(f"{quote(value)} is not between 0% and 100%", hint)
    return rate


def format_rate(rate: float) -> str:
    """Write a rate as a percentage, exactly; the inverse of `parse_rate`."""
    percent = f"{round(rate * 100, 10):f}".rstrip("0").rstrip(".")
    return f"{percent}%" if parse_rate(f"{percent}%") == rate else repr(rate)


def parse_email(value: Any) -> str:
    """Check that a text looks like one e-mail address."""
    if not isinstance(value, str) or not _EMAIL.match(value):
        raise wrong(f"{quote(value)} is not an e-mail address", "Write one address per list entry: [ops@example.com].")
    return str(value)


def parse_scalar(value: Any) -> str | bool | int | float:
    """Accept a text, a number or a boolean, as reader options take them."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise wrong(f"must be a text, a number or a boolean, not {quote(value)}")


def parse_setting(value: Any) -> str:
    """Accept a scalar and write it as Spark's settings are written."""
    scalar = parse_scalar(value)
    return str(scalar).lower() if isinstance(scalar, bool) else str(scalar)


def parse_bound(value: Any) -> int | float | str | date | datetime:
    """Accept what a column can be compared with: a number, a date, a time or a text."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool) or not isinstance(value, int | float | date | datetime):
        raise wrong(f"must be a number, a date or a text, not {quote(value)}")
    return value


def parse_day(value: Any) -> date:
    """Read a day: `2013-01-31`. Raises an error that pydantic reports for anything else."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise wrong(f"{quote(value)} is not a day", "Write a day that exists: 2013-01-31.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


Duration = Annotated[
    timedelta,
    PlainValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+[smhd]$", "x-type": "duration"}),
]
Lookback = Annotated[
    timedelta | int,
    PlainValidator(parse_lookback),
    PlainSerializer(lambda value: value if isinstance(value, int) else format_duration(value), when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": "^[0-9]+[smhd]$"}, {"type": "integer", "minimum": 1}],
            "x-type": "duration or whole number",
        }
    ),
]
Rate = Annotated[
    float,
    PlainValidator(parse_rate),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "string", "pattern": "^[0-9.]+ ?%$"}],
            "x-type": "rate",
        }
    ),
]
Day = Annotated[
    date,
    PlainValidator(parse_day),
    PlainSerializer(date.isoformat, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date", "x-type": "day"}),
]
Email = Annotated[str, PlainValidator(parse_email), WithJsonSchema({"type": "string", "format": "email"})]
Scalar = Annotated[
    str | bool | int | float,
    PlainValidator(parse_scalar),
    WithJsonSchema({"type": ["string", "boolean", "number"], "x-type": "text, number or boolean"}),
]
Setting = Annotated[
    str,
    PlainValidator(parse_setting),
    WithJsonSchema({"type": ["string", "boolean", "number"], "x-type": "text"}),
]
Bound = Annotated[
    int | float | str | date | datetime,
    PlainValidator(parse_bound),
    WithJsonSchema({"type": ["string", "number"], "x-type": "number, date or text"}),
]
