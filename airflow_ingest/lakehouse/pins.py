"""What a step has decided before it writes, kept for the attempt that follows should this one die."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from airflow_ingest.lakehouse.commits import generation
from airflow_ingest.lakehouse.log import Commit, in_effect


class Pins(Protocol):
    """JSON-safe values by key. They outlive an attempt; a deliberate run of the step starts without any."""

    def take(self, key: str) -> Any:
        """What an earlier attempt put under `key`, or None; once taken it is gone, so that a plan which loses against
        another writer's is made anew."""

    def put(self, key: str, value: Any) -> None:
        """Keep `value` under `key` for the next attempt."""


class _NoPins:
    def take(self, key: str) -> None: ...

    def put(self, key: str, value: Any) -> None: ...


NO_PINS: Pins = _NoPins()
"""Every attempt decides for itself."""


def recalled(pins: Pins, key: str, application: str, commits: Sequence[Commit]) -> tuple[int, Commit | None]:
    """The generation for a write of `application`, and the commit in which an earlier attempt has made it.

    It is the one that an earlier attempt pinned under `key`; a new one where there is none, and where a RESTORE has
    undone what it wrote: Delta takes a generation once. `commits` are the table's newest, newest first.
    """
    earlier = pins.take(key)
    if isinstance(earlier, int):
        made = _with(commits, application, earlier)
        if made is None or _with(in_effect(commits), application, earlier):
            return earlier, made
    return drawn(pins, key), None


def drawn(pins: Pins, key: str) -> int:
    """A new generation, which the next attempt finds under `key`."""
    new = generation()
    pins.put(key, new)
    return new


def _with(commits: Iterable[Commit], application: str, version: int) -> Commit | None:
    return next((commit for commit in commits if commit.transaction == (application, version)), None)
