"""Timing side by side: each contender in turn, several rounds, medians and their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Contender = Callable[[int], float | None]
"""What is measured, given the round's number. If it returns seconds it has timed itself, else the call is timed."""


@dataclass(frozen=True)
class Comparison:
    """Seconds per round of two contenders that took turns; `limit` is the greatest ratio that the project promises.

    Without a `limit` it is there to be known.
    """

    name: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    limit: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Our median over theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def kept(self) -> bool:
        return self.limit is None or self.ratio <= self.limit


def side_by_side(name: str, ours: Contender, theirs: Contender, *, rounds: int, limit: float | None) -> Comparison:
    """Runs both contenders `rounds` times in turn."""
    taken = in_turn({"ours": ours, "theirs": theirs}, rounds=rounds)
    return Comparison(name, taken["ours"], taken["theirs"], limit)


def in_turn(contenders: Mapping[str, Contender], *, rounds: int) -> Mapping[str, tuple[float, ...]]:
    """The seconds of each contender in each of `rounds` rounds, every other one of which goes from the last to the
    first.
    """
    taken: Mapping[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        order = list(contenders.items())
        for name, contender in order if number % 2 == 0 else reversed(order):
            taken[name].append(_timed(contender, number))
    return {name: tuple(seconds) for name, seconds in taken.items()}


def _timed(contender: Contender, number: int) -> float:
    started = time.perf_counter()
    measured = contender(number)
    return time.perf_counter() - started if measured is None else measured
