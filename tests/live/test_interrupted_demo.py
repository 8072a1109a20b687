"""Ctrl-C in the terminal of `python -m demo` leaves no process behind, whenever it comes."""

import fcntl
import os
import pty
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = [pytest.mark.live, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]


class Terminal:
    """A demonstration in a pseudo-terminal of its own, where Ctrl-C is a key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.screen = ""
        self._keyboard, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "demo"],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            cwd=REPOSITORY,
            env={**os.environ, "DEMO_DIR": str(folder)},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(terminal)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press_ctrl_c(self) -> None:
        os.write(self._keyboard, b"\x03")

    def processes(self) -> list[psutil.Process]:
        """Every process that works in the demonstration's folder or names it, the zombies aside."""
        found = []
        for process in psutil.process_iter(["pid", "cwd", "cmdline", "environ", "status"]):
            told = [process.info["cwd"], *(process.info["cmdline"] or ()), *(process.info["environ"] or {}).values()]
            if process.pid != os.getpid() and any(str(self.folder) in (text or "") for text in told):
                found.append(process)
        return found

    def _read(self) -> None:
        try:
            while text := os.read(self._keyboard, 4096):
                self.screen += text.decode(errors="replace")
        except OSError:
            return

    def close(self) -> None:
        for left in self.processes():
            left.kill()
        self.process.wait()
        os.close(self._keyboard)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path / "demo")
    yield opened
    opened.close()


def _making_the_database(terminal: Terminal) -> bool:
    return (terminal.folder / "airflow" / "logs" / "migration.log").exists()


def _starting_the_components(terminal: Terminal) -> bool:
    return (terminal.folder / "airflow" / "logs" / "triggerer.log").exists()


def _starting_spark(terminal: Terminal) -> bool:
    return any((terminal.folder / "airflow" / "runtime").glob("spark/*/launch.json"))


@pytest.mark.parametrize("moment", [_making_the_database, _starting_the_components, _starting_spark])
def test_ctrl_c_leaves_no_process(terminal: Terminal, moment: Callable[[Terminal], bool]) -> None:
    deadline = time.monotonic() + 120
    while not moment(terminal):
        assert terminal.process.poll() is None, terminal.screen
        assert time.monotonic() < deadline, terminal.screen
        time.sleep(0.05)
    assert len(terminal.processes()) > 1

    terminal.press_ctrl_c()
    terminal.press_ctrl_c()

    assert terminal.process.wait(60) == 130, terminal.screen
    assert terminal.processes() == []
