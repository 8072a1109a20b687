"""Runs a pipeline for one interval in a process of its own, and dies where it is told to.

    python -m tests.chaos.child FILE DAY KIND [VICTIM:MOMENT:NUMBER]

All writes to the lake go through one method of Spark Connect's client. It is wrapped here, so that nothing of this is
in the package: the NUMBERth write (from 0) is the one `before`, `during` or `after` which VICTIM, the `task` (this
process) or the `server` (Spark), is killed with SIGKILL. Prints the writes, one a line.
"""

from __future__ import annotations

import os
import re
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

_WRITES = re.compile(r"^\s*(MERGE|CREATE|ALTER|DELETE|UPDATE|INSERT)\b")


class Fault:
    """Kills `victim` at a moment of the `number`th write."""

    def __init__(self, victim: str, moment: str, number: int) -> None:
        self.victim, self.moment, self.number = victim, moment, number

    def strike(self) -> None:
        if self.victim == "task":
            os.kill(os.getpid(), signal.SIGKILL)
        for server in server_status():
            os.kill(server.pid, signal.SIGKILL)


def watch_writes(fault: Fault | None) -> None:
    """Print every write from now on, and carry out `fault`."""
    from pyspark.sql.connect.client import SparkConnectClient

    original = SparkConnectClient.execute_command
    seen = 0

    def execute_command(client: Any, command: Any, *rest: Any, **more: Any) -> Any:
        nonlocal seen
        what = _describe(command)
        if what is None:
            return original(client, command, *rest, **more)
        sys.stdout.write(f"{what}\n")
        sys.stdout.flush()
        struck = fault if fault and fault.number == seen else None
        seen += 1
        if struck and struck.moment == "before":
            struck.strike()
        if struck and struck.moment == "during":
            Thread(target=_soon, args=(struck,), daemon=True).start()
        answer = original(client, command, *rest, **more)
        if struck and struck.moment == "after":
            struck.strike()
        return answer

    setattr(SparkConnectClient, "execute_command", execute_command)  # noqa: B010


def _soon(fault: Fault) -> None:
    time.sleep(0.15)
    fault.strike()


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


def main(file: str, day: str, kind: Any, fault: str = "") -> int:
    pipeline = load_pipeline(file)
    start = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    interval = Interval(start=start, end=start + timedelta(days=1))
    run = RunInfo(pipeline=pipeline.pipeline, run_id=f"{kind}__{day}", interval=interval, kind=kind)
    if fault:
        victim, moment, number = fault.split(":")
        watch_writes(Fault(victim, moment, int(number)))
    else:
        watch_writes(None)
    sessions = Sessions(Embedded(), pipeline.spark.conf)
    units = units_of(compile_graph(pipeline))
    with RunProgress() as progress:
        runs = run_units(units, day, Work(pipeline, run, day, sessions, progress), workers=1)
    for found in runs:
        if found.state in ("failed", "not run"):
            sys.stderr.write(f"{found.table} {found.state}: {found.message}\n")
    sessions.close()
    return int(any(found.state in ("failed", "not run") for found in runs))


if __name__ == "__main__":
    Path(sys.argv[1]).resolve(strict=True)
    sys.exit(main(*sys.argv[1:]))
