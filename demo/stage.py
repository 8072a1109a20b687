"""Where the demonstration lives, and what must be settled before it starts."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

REPOSITORY = Path(__file__).resolve().parent.parent


def _root() -> Path:
    return Path(os.environ.get("DEMO_DIR") or REPOSITORY / ".demo").absolute()


@dataclass(frozen=True)
class Stage:
    """The folders of one demonstration: under DEMO_DIR, or `.demo` in the repository."""

    root: Path = field(default_factory=_root)

    @property
    def landing(self) -> Path:
        return self.root / "landing"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def airflow(self) -> Path:
        return self.root / "airflow"

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Keeps a second demonstration out. Raises BlockingIOError while one runs."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BlockingIOError(f"A demonstration already runs in {self.root}: end that one first.") from error
            yield

    def clear(self) -> None:
        """Removes what an earlier demonstration left."""
        for folder in (self.landing, self.lake, self.airflow):
            shutil.rmtree(folder, ignore_errors=True)


def end_in_order_on_signals() -> None:
    """Makes Ctrl-C, TERM and a closed terminal unwind the stack, also where the shell had them ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _exit)


def _exit(number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + number)


def stays_open() -> bool:
    """Whether somebody sits at a terminal who may want to look around in the UI."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("DEMO_EXIT", "0") in {"", "0"}


def wanted_port() -> int | None:
    """The port asked for in DEMO_PORT. Raises ValueError if that is not a port."""
    text = os.environ.get("DEMO_PORT")
    if not text:
        return None
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ValueError(f"DEMO_PORT={text} is not a port: give a number from 1 to 65535, or nothing for a free one.")
    return int(text)
