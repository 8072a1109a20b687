"""The process that stands beside an embedded server: starts its JVM, and ends it when nobody uses it any more.

Run as a script with the server's folder as its argument; imports nothing of this package, so that it stays small. It
holds `supervisor.lock` for life. The JVM dies with it. A server is in use while a client is connected (a running query
always is) or a client has touched `lease`; a server that nobody used for `idle_seconds` is stopped under `start.lock`,
so that no client can count on it meanwhile.
"""

import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

import psutil

STOP_SECONDS = 10.0


class Supervisor:
    """One JVM, started at once, and the folder it lives in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.launch: dict[str, Any] = json.loads((folder / "launch.json").read_text())
        parent = os.getpid()
        with (folder / "server.out").open("wb") as output:
            self.jvm = subprocess.Popen(  # noqa: S603
                self.launch["command"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: _die_with(parent),
            )

    def run(self) -> None:
        """Stay until the JVM is gone: by itself, by a signal or for want of clients."""
        try:
            self._write_state(self.jvm.pid)
            self._watch(psutil.Process(self.jvm.pid))
        finally:
            (self.folder / "server.json").unlink(missing_ok=True)
            self._end_jvm()

    def _watch(self, jvm: psutil.Process) -> None:
        idle_seconds = float(self.launch["idle_seconds"])
        pause = min(5.0, idle_seconds / 4)
        used, lease = time.monotonic(), self._lease()
        while not self._gone(pause):
            if self._connected(jvm) or self._lease() != lease:
                used, lease = time.monotonic(), self._lease()
            elif time.monotonic() - used > idle_seconds:
                with (self.folder / "start.lock").open("a") as lock:
                    fcntl.flock(lock, fcntl.LOCK_EX)
                    if self._lease() == lease and not self._connected(jvm):
                        (self.folder / "server.json").unlink(missing_ok=True)
                        self._end_jvm()
                        return

    def _gone(self, seconds: float) -> bool:
        """Whether the JVM ends within so many seconds."""
        try:
            self.jvm.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _connected(self, jvm: psutil.Process) -> bool:
        """Whether a client is there; if that cannot be seen, there may be one."""
        port = self.launch["port"]
        try:
            sockets = jvm.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            return False
        except psutil.AccessDenied:
            return True
        return any(s.laddr and s.laddr.port == port and s.status == psutil.CONN_ESTABLISHED for s in sockets)

    def _lease(self) -> int:
        try:
            return (self.folder / "lease").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def _write_state(self, pid: int) -> None:
        state = {
            "port": self.launch["port"],
            "token": os.environ["SPARK_CONNECT_AUTHENTICATE_TOKEN"],
            "pid": pid,
            "born": psutil.Process(pid).create_time(),
            "supervisor": os.getpid(),
            "started": time.time(),
        }
        draft = self.folder / "server.json.new"
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(state))
        draft.rename(self.folder / "server.json")

    def _end_jvm(self) -> None:
        self.jvm.terminate()
        if not self._gone(STOP_SECONDS):
            self.jvm.kill()
            self.jvm.wait()


def _die_with(parent: int) -> None:
    """In the child, before exec: ask Linux to end it when its parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)


def _leave(signum: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signum)


def _take(lock: TextIO) -> bool:
    """Whether the lock is ours; those who only look whether it is held are waited for."""
    for _ in range(40):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def main(folder: Path) -> None:
    """Take the folder's lock, detach from whoever started this, supervise. Exits with 1 if another is there."""
    with (folder / "supervisor.lock").open("a") as lock:
        if not _take(lock):
            sys.exit(1)
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, _leave)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        Supervisor(folder).run()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
