"""Processes are found by their mark and end, whatever they do about it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from airflow_ingest.testing.processes import (
    in_sessions,
    interrupts_held,
    marked_processes,
    start_component,
    stop_processes,
)

MARK = "AIRFLOW_INGEST_TEST_MARK"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FAMILY = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {STUBBORN!r}])
subprocess.Popen([sys.executable, "-c", {STUBBORN!r}], start_new_session=True)
time.sleep(60)
"""


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    """A value that no other process has; what carries it ends with the test."""
    yield str(tmp_path)
    stop_processes(lambda: marked_processes(MARK, str(tmp_path)), grace=0)


def _wait_for(path: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while path.read_text().count("up") < text.count("up"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_children_that_ignore_term_and_children_in_other_sessions_end(mark: str, tmp_path: Path) -> None:
    log = tmp_path / "family.log"
    family = start_component(
        "family", [sys.executable, "-c", FAMILY], env={**os.environ, MARK: mark}, cwd=tmp_path, log=log
    )
    _wait_for(log, "up up")
    everyone = marked_processes(MARK, mark)
    assert len(everyone) == 3
    assert len(in_sessions(everyone, [family.process.pid])) == 2

    stop_processes(lambda: marked_processes(MARK, mark), grace=0.3)

    assert not [pid for pid in everyone if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    assert family.exit_code == -signal.SIGTERM


def test_a_component_tells_how_it_ended(tmp_path: Path) -> None:
    code = "print('first'); print('last words'); raise SystemExit(3)"
    component = start_component(
        "part", [sys.executable, "-c", code], env=os.environ, cwd=tmp_path, log=tmp_path / "logs" / "part.log"
    )
    component.process.wait(20)
    assert component.exit_code == 3
    assert component.tail(1) == "last words"


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    finished = False
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - what is tested is where it comes through
        with interrupts_held():
            signal.raise_signal(signal.SIGINT)
            finished = True
        pytest.fail("the interrupt was lost")
    assert finished


def test_a_child_started_while_interrupts_are_held_can_be_interrupted() -> None:
    with interrupts_held():
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    time.sleep(0.5)
    child.send_signal(signal.SIGINT)
    assert child.wait(20) != 0
