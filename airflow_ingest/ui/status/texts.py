"""Numbers and times in few words."""

from __future__ import annotations

from datetime import datetime, timezone

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def span(seconds: float) -> str:
    """How long, in the largest unit that divides it: `45 s`, `90 min`, `3 h`, `2 d`."""
    return next((f"{seconds / size:.0f} {name}" for name, size in _UNITS if seconds % size == 0), f"{seconds:g} s")


def ago(at: datetime, now: datetime) -> str:
    """How long before `now`, or how long till then."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{about(seconds)} ago" if seconds > 0 else f"in {about(-seconds)}"


def about(seconds: float) -> str:
    """About how long, in the largest unit of which there are two."""
    name, size = next(((name, size) for name, size in _UNITS if seconds >= 2 * size), _UNITS[-1])
    return f"{seconds // size:.0f} {name}"


def moment(at: datetime) -> str:
    """A time in UTC, to the minute."""
    return f"{at.astimezone(timezone.utc):%Y-%m-%d %H:%M}"


def mark(watermark: str) -> str:
    """A watermark: a time to the minute if it is one, else as it is."""
    try:
        at = datetime.fromisoformat(watermark)
    except ValueError:
        return watermark
    if len(watermark) <= len("2026-01-01"):
        return watermark
    return moment(at) if at.tzinfo else f"{at:%Y-%m-%d %H:%M}"


def count(number: int) -> str:
    """A number of rows in three digits: `950`, `12.3k`, `4.5M`."""
    for size, name in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{name}"
    return str(number)


def share(rate: float) -> str:
    """A share in per cent: `0%`, `<0.1%`, `2.5%`."""
    if 0 < rate < 0.001:
        return "<0.1%"
    return f"{rate * 100:.3g}%"


def things(number: int, name: str) -> str:
    """So many of them: `1 table`, `2 tables`."""
    return f"{number} {name}{'' if number == 1 else 's'}"
