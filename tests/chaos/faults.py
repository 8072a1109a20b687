"""Faults that meet the nth write to the lake: all writes go through one method of Spark Connect's client.

It is wrapped from outside, so that nothing of this is in the package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

_WRITES = re.compile(r"^\s*(MERGE|CREATE|ALTER|DELETE|UPDATE|INSERT)\b")


@dataclass(frozen=True)
class Write:
    """One write: what (`write silver/orders`) and the how-manieth."""

    what: str
    number: int


Watcher = Callable[[Write], None]


@contextmanager
def watching(before: Watcher, after: Watcher) -> Iterator[None]:
    """Calls the watchers around every write inside the block; what they raise ends it."""
    from pyspark.sql.connect.client import SparkConnectClient

    original = SparkConnectClient.execute_command
    seen = 0

    def execute_command(client: Any, command: Any, *rest: Any, **more: Any) -> Any:
        nonlocal seen
        what = _describe(command)
        if what is None:
            return original(client, command, *rest, **more)
        write = Write(what, seen)
        seen += 1
        before(write)
        answer = original(client, command, *rest, **more)
        after(write)
        return answer

    setattr(SparkConnectClient, "execute_command", execute_command)  # noqa: B010
    try:
        yield
    finally:
        setattr(SparkConnectClient, "execute_command", original)  # noqa: B010


def _describe(command: Any) -> str | None:
    if command.HasField("write_operation"):
        return f"write {_table(command.write_operation.path)}"
    if command.HasField("sql_command"):
        text = command.sql_command.input.sql.query or command.sql_command.sql
        if found := _WRITES.match(text):
            target = re.search(r"delta\.`([^`]+)`", text)
            return f"{found[1].lower()} {_table(target[1] if target else '')}"
    return None


def _table(path: str) -> str:
    return "/".join(path.split("/")[-2:])


class Died(BaseException):
    """The task is gone."""


def dying(moment: str, what: str, step: Callable[[], object]) -> None:
    """`step`, whose process dies `before` or `after` the write `what`."""

    def strike(when: str) -> Watcher:
        def watcher(write: Write) -> None:
            if (when, write.what) == (moment, what):
                raise Died

        return watcher

    with suppress(Died), watching(strike("before"), strike("after")):
        step()
        raise AssertionError(f"no {what} was seen")
