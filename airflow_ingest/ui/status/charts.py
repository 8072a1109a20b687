"""Small charts as inline SVG: one path for all bars, so that a thousand of them are no burden."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

_STEP, _BAR, _HEIGHT, _LEAST = 3, 2, 22, 1.5


def bars(values: Sequence[float], bad: Sequence[bool], label: str, *, room: int, least: float = 0.0) -> str:
    """A bar for each of `values`, at the right of a room for so many; those that are `bad` in another colour.

    The highest bar is as high as the chart, or lower where it is below `least`. `label` is what is read out.
    """
    top = max([*values, least]) or 1.0
    left = (room - len(values)) * _STEP
    drawn: dict[bool, list[str]] = {False: [], True: []}
    for number, (value, wrong) in enumerate(zip(values, bad, strict=True)):
        height = max(value / top * _HEIGHT, _LEAST if value or wrong else 0.0)
        if height:
            drawn[wrong].append(f"M{left + number * _STEP} {_HEIGHT}v-{height:.3g}h{_BAR}V{_HEIGHT}z")
    paths = "".join(
        f'<path class="{name}" d="{"".join(found)}"/>'
        for name, found in (("bar", drawn[False]), ("bar bad", drawn[True]))
        if found
    )
    return f'<svg role="img" width="{room * _STEP}" height="{_HEIGHT}" aria-label="{escape(label)}">{paths}</svg>'
