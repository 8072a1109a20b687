"""Processes that never outlive their owner: in sessions of their own, found again by a mark, stopped for sure."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil


@dataclass(frozen=True)
class Component:
    """One long-running child: the leader of its own session, with its output in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self.process.poll()

    def tail(self, lines: int = 25) -> str:
        """The last lines of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def start_component(name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> Component:
    """Starts `command` in a new session, so that a Ctrl-C in the terminal reaches the owner alone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603  the callers' own commands
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    return Component(name, process, log)


def marked_processes(name: str, value: str) -> list[int]:
    """Ids of this user's other processes whose environment holds `name=value`."""
    return [
        process.pid
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(name) == value and process.pid != os.getpid()
    ]


def in_sessions(pids: Sequence[int], leaders: Sequence[int]) -> list[int]:
    """Those of `pids` that live in a session led by one of `leaders`."""
    kept = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(pid) in leaders:
                kept.append(pid)
    return kept


def stop_processes(find: Callable[[], Sequence[int]], *, grace: float) -> None:
    """Asks what `find` returns to end, and after `grace` seconds ends it, until `find` returns nothing."""
    _signal(find(), signal.SIGTERM)
    deadline = time.monotonic() + grace
    while find():
        if time.monotonic() > deadline:
            _signal(find(), signal.SIGKILL)
        time.sleep(0.05)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Holds back Ctrl-C and TERM while the block runs, and lets the first of them through at its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []

    def hold(number: int, _frame: FrameType | None) -> None:
        held.append(number)

    before = {number: signal.signal(number, hold) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[0])
