"""What a server leaves on disk: a folder of its own with its locks, its state, its logs.

One folder per set of settings, readable by its user alone. A server lives as long as its supervisor holds
`supervisor.lock`: the kernel releases a lock however its holder died, so neither a stale file nor a reused process id
can pass for a server.
"""

import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from airflow_ingest.runtime.errors import RuntimeProblem

HOME = "AIRFLOW_INGEST_HOME"


@dataclass(frozen=True)
class ServerState:
    """What the supervisor wrote down when it started the JVM. `born` tells the process from another with its id."""

    port: int
    token: str = field(repr=False)
    pid: int
    born: float
    supervisor: int
    started: float


@dataclass(frozen=True)
class ServerFolder:
    """One server's files."""

    path: Path

    @property
    def log(self) -> Path:
        """What Spark logged."""
        return self.file("server.log")

    @property
    def output(self) -> Path:
        """What the JVM itself printed."""
        return self.file("server.out")

    def file(self, name: str) -> Path:
        return self.path / name

    def write(self, name: str, text: str) -> None:
        """Write a file that only its owner may read."""
        self.file(name).touch(mode=0o600)
        self.file(name).write_text(text)

    def touch(self) -> None:
        """Tell the supervisor that somebody is about to connect."""
        self.file("lease").touch(mode=0o600)

    def state(self) -> ServerState | None:
        """What the running supervisor wrote, or None if it has not got that far or does not run."""
        return self.last_state() if self.alive() else None

    def last_state(self) -> ServerState | None:
        """What the last supervisor wrote, unless it ended in order."""
        try:
            return ServerState(**json.loads(self.file("server.json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def alive(self) -> bool:
        """Whether a supervisor runs."""
        try:
            with (self.path / "supervisor.lock").open("a") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def lock(self, timeout: float) -> Iterator[None]:
        """Hold the right to start or stop this server. Raises `RuntimeProblem` if another holds it for that long."""
        path = self.path / "start.lock"
        with path.open("a") as file:
            deadline = time.monotonic() + timeout
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise RuntimeProblem(
                            f"Another process starts or stops Spark for {timeout:.0f} s (it holds {path}).",
                            f"See {self.log}; if nothing runs there any more, run airflow-ingest spark stop.",
                        ) from None
                    time.sleep(0.05)
            yield


def home() -> Path:
    """`$AIRFLOW_INGEST_HOME`, or else the user's state folder."""
    if chosen := os.environ.get(HOME):
        return Path(chosen).expanduser().absolute()
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "airflow-ingest"


def check_home() -> Path:
    """The folder that holds the servers' folders, made if need be. Raises `RuntimeProblem` unless it is ours alone."""
    root = home() / "spark"
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_uid != os.getuid():
            raise RuntimeProblem(f"{root} belongs to another user.", f"Set {HOME} to a folder of your own.")
        root.chmod(0o700)
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError as error:
        raise RuntimeProblem(
            f"Spark's state cannot be kept in {root}: {error.strerror}.",
            f"Set {HOME} to a folder that you can write to.",
        ) from error


def server_folder(name: str) -> ServerFolder:
    """The folder of the server of this name, made if need be. Raises `RuntimeProblem` as `check_home` does."""
    path = check_home() / name
    path.mkdir(mode=0o700, exist_ok=True)
    return ServerFolder(path)


def server_folders() -> tuple[ServerFolder, ...]:
    """The folders of all servers that were ever started here."""
    return tuple(ServerFolder(path) for path in sorted((home() / "spark").glob("*")) if path.is_dir())
