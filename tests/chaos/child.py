"""A day of a pipeline, or a replay, in a process of its own, which dies where it is told to.

The process is forked from one that has imported everything (`forkserver`), so that it starts in no time.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

from airflow_ingest.runtime import server_status
from tests.chaos.faults import Write, watching
from tests.driving import by_operators, by_replay

PATIENCE = 240
"""Seconds that a day may take."""


@dataclass(frozen=True)
class Fault:
    """Kills `victim` (the `task`, which is the process itself, or Spark's `server`) with SIGKILL, `before`, `during` or
    `after` the write whose number is `write`."""

    victim: str
    moment: str
    write: int

    def before(self, write: Write) -> None:
        """Told of every write that begins."""
        if write.number == self.write and self.moment == "before":
            self._strike()
        if write.number == self.write and self.moment == "during":
            Thread(target=self._strike, args=(0.15,), daemon=True).start()

    def after(self, write: Write) -> None:
        """Told of every write that is done."""
        if write.number == self.write and self.moment == "after":
            self._strike()

    def _strike(self, pause: float = 0.0) -> None:
        time.sleep(pause)
        if self.victim == "task":
            os.kill(os.getpid(), signal.SIGKILL)
        for server in server_status():
            os.kill(server.pid, signal.SIGKILL)


NO_FAULT = Fault("nobody", "never", -1)


def run_day(folder: Path, day: int, *, tries: int, fault: Fault = NO_FAULT) -> list[str] | str:
    """The writes of a live run of the day, by the operators in a process of its own; why it failed, if it did.

    The tasks have so many `tries`: attempts of the same number are retries.
    """
    return _in_process(fault, by_operators, folder, day, "live", tries=tries)


def run_replay(folder: Path, run_id: str, fix: Mapping[str, str], *, fault: Fault = NO_FAULT) -> list[str] | str:
    """The writes of a replay, by its operator in a process of its own; why it failed, if it did."""
    return _in_process(fault, by_replay, folder, run_id, fix)


def _in_process(fault: Fault, job: Callable[..., object], *given: object, **more: object) -> list[str] | str:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["airflow.models.dagrun", "airflow_ingest.hooks", __name__])
    inbox, outbox = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(fault, outbox, job, given, more))
    process.start()
    outbox.close()
    process.join(PATIENCE)
    if process.is_alive():
        process.kill()
        raise TimeoutError(f"{given}: not done after {PATIENCE} s")
    told: list[str] | str = inbox.recv() if process.exitcode == 0 else f"ended with {process.exitcode}"
    return told


def _child(
    fault: Fault,
    outbox: Connection,
    job: Callable[..., object],
    given: tuple[object, ...],
    more: Mapping[str, object],
) -> None:
    seen: list[str] = []

    def before(write: Write) -> None:
        seen.append(write.what)
        fault.before(write)

    try:
        with watching(before, fault.after):
            job(*given, **more)
    except Exception:
        outbox.send(traceback.format_exc())
    else:
        outbox.send(seen)
