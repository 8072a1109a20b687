"""Pins that a test keeps from one attempt to the next."""

from __future__ import annotations

from typing import Any


class Kept:
    """What the attempts at a step have pinned."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def attempt(self) -> Attempt:
        """The pins of one more attempt."""
        return Attempt(self.kept)


class Attempt:
    """`airflow_ingest.lakehouse.pins.Pins` over what is kept."""

    def __init__(self, kept: dict[str, Any]) -> None:
        self._kept, self._left = kept, dict(kept)

    def take(self, key: str) -> Any:
        """What an earlier attempt put, once."""
        return self._left.pop(key, None)

    def put(self, key: str, value: Any) -> None:
        """Keep it."""
        self._kept[key] = value
