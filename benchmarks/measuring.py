"""Timing side by side: each contender in turn, several rounds, medians and their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Comparison:
    """Seconds per round of two contenders that took turns; `limit` is the greatest ratio that the project promises."""

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    limit: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Our median over theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def kept(self) -> bool:
        return self.ratio <= self.limit


def side_by_side(
    name: str, ours: Callable[[int], float | None], theirs: Callable[[int], float | None], *, rounds: int, limit: float
) -> Comparison:
    """Runs both contenders `rounds` times in turn, each given the round's number.

    A contender that returns a number has timed itself; otherwise its whole call is timed.
    """
    taken: Mapping[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(rounds):
        order = (("ours", ours), ("theirs", theirs))
        for key, contender in order if number % 2 == 0 else reversed(order):
            taken[key].append(_timed(contender, number))
    return Comparison(name, tuple(taken["ours"]), tuple(taken["theirs"]), limit)


def _timed(contender: Callable[[int], float | None], number: int) -> float:
    started = time.perf_counter()
    measured = contender(number)
    return time.perf_counter() - started if measured is None else measured
