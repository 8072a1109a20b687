"""Runs a pipeline for one interval in a process of its own, and dies where it is told to.

    python -m tests.chaos.child FILE DAY KIND [VICTIM:MOMENT:NUMBER]

The NUMBERth write (from 0) is the one `before`, `during` or `after` which VICTIM, the `task` (this process) or the
`server` (Spark), is killed with SIGKILL. Prints the writes, one a line.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Thread
from typing import Any

from airflow_ingest.cli.engine import run_units, units_of
from airflow_ingest.cli.progress import RunProgress
from airflow_ingest.cli.sessions import Sessions
from airflow_ingest.cli.steps import Work
from airflow_ingest.config import load_pipeline
from airflow_ingest.graph import compile_graph
from airflow_ingest.lakehouse import Interval, RunInfo
from airflow_ingest.runtime import Embedded, server_status
from tests.chaos.faults import Write, say, watching


class Fault:
    """Kills `victim` (the `task`, which is this process, or the `server`) at a moment of the `number`th write."""

    def __init__(self, victim: str, moment: str, number: int) -> None:
        self.victim, self.moment, self.number = victim, moment, number

    def before(self, write: Write) -> None:
        say(write)
        if write.number == self.number and self.moment == "before":
            self._strike()
        if write.number == self.number and self.moment == "during":
            Thread(target=self._strike, args=(0.15,), daemon=True).start()

    def after(self, write: Write) -> None:
        if write.number == self.number and self.moment == "after":
            self._strike()

    def _strike(self, pause: float = 0.0) -> None:
        time.sleep(pause)
        if self.victim == "task":
            os.kill(os.getpid(), signal.SIGKILL)
        for server in server_status():
            os.kill(server.pid, signal.SIGKILL)


def main(file: str, day: str, kind: Any, fault: str = "nobody:never:-1") -> int:
    """Run the pipeline for `day` as a run of `kind`; returns 1 if anything failed."""
    pipeline = load_pipeline(file)
    start = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    interval = Interval(start=start, end=start + timedelta(days=1))
    run = RunInfo(pipeline=pipeline.pipeline, run_id=f"{kind}__{day}", interval=interval, kind=kind)
    victim, moment, number = fault.split(":")
    strike = Fault(victim, moment, int(number))
    sessions = Sessions(Embedded(), pipeline.spark.conf)
    units = units_of(compile_graph(pipeline))
    with RunProgress() as progress, watching(strike.before, strike.after):
        runs = run_units(units, day, Work(pipeline, run, day, sessions, progress), workers=1)
    for found in runs:
        if found.state in ("failed", "not run"):
            sys.stderr.write(f"{found.table} {found.state}: {found.message}\n")
    sessions.close()
    return int(any(found.state in ("failed", "not run") for found in runs))


if __name__ == "__main__":
    Path(sys.argv[1]).resolve(strict=True)
    sys.exit(main(*sys.argv[1:]))
