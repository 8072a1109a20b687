"""Waiting until a function says yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pkgutil import resolve_name
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class ConditionTrigger(BaseTrigger):
    """Ask a function every so often, in a thread of its own, and fire when it says yes.

    Its event is `{"there": True}`, or `{"error": …}` with what the function has raised.

    :param condition: the function, as `module:name`; it must be quick, and may be asked by several triggers at once
    :param arguments: its keyword arguments, as JSON has them
    :param poll: how many seconds to wait between two answers
    """

    def __init__(self, condition: str, arguments: dict[str, Any], poll: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.condition = condition
        self.arguments = arguments
        self.poll = poll

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The trigger as Airflow keeps it."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"condition": self.condition, "arguments": self.arguments, "poll": self.poll}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and say what came of it."""
        try:
            condition = resolve_name(self.condition)
            while not await asyncio.to_thread(condition, **self.arguments):
                await asyncio.sleep(self.poll)
        except Exception as error:
            yield TriggerEvent({"error": f"{type(error).__name__}: {error}"})  # type: ignore[no-untyped-call]
        else:
            yield TriggerEvent({"there": True})  # type: ignore[no-untyped-call]
