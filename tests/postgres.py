"""A pytest plugin with a real Postgres: `pytest_plugins = ["tests.postgres"]`.

Debian's Postgres (`apt-get install postgresql`) is started on a free loopback port, with a password of its own, and
stopped by its process id. Where it is missing, the tests that ask for it are skipped.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

PASSWORD = "s3cr3t:p@ss/w%rd"
_USER = "ingest"
_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt/postgresql")


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    port: int
    psql: Path
    user: str = _USER

    def database(self, name: str) -> str:
        """Makes an empty database; returns its SQLAlchemy URL."""
        self.run(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg2://{self.user}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{name}"

    def run(self, sql: str) -> str:
        """Runs statements, each in a transaction of its own; returns what they gave. Raises on the first error."""
        command = [self.psql, "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user, "-d", "postgres"]
        done = subprocess.run(
            [*map(str, command), "-v", "ON_ERROR_STOP=1", "-q", "-At", "-f", "-"],
            input=sql,
            env={**os.environ, "PGPASSWORD": PASSWORD, "PGTZ": "UTC"},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for this test process."""
    programs = _programs()
    if programs is None:
        pytest.skip("no Postgres on this machine: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="airflow-ingest-postgres-"))
    try:
        as_user = _as_user(folder)
        data = folder / "data"
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        initdb = [programs / "initdb", "-D", data, "-U", _USER, "--pwfile", folder / "password"]
        initdb += ["-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
        done = subprocess.run([*as_user, *map(str, initdb)], capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode == 0, done.stderr
        server, port = _started(programs, as_user, folder, data)
        try:
            yield Postgres(port, programs / "psql")
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(programs: Path, as_user: list[str], folder: Path, data: Path) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "timezone": "UTC"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    command = [*as_user, str(programs / "postgres"), "-D", str(data), "-p", str(port), *options]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
    deadline = time.monotonic() + 30
    while not _answers(programs, port):
        if server.poll() is not None or time.monotonic() > deadline:
            server.kill()
            server.wait()
            pytest.fail(f"Postgres did not start:\n{(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.05)
    return server, port


def _answers(programs: Path, port: int) -> bool:
    asked = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    return subprocess.run(asked, check=False).returncode == 0


def _programs() -> Path | None:
    """The folder of the newest Postgres that has a server."""
    found = [path.parent for place in _PLACES for path in Path(place).glob("**/bin/initdb")]
    if on_path := shutil.which("initdb"):
        found.append(Path(on_path).parent)
    return max(found, key=lambda path: [int(part) for part in path.parts if part.isdigit()], default=None)


def _as_user(folder: Path) -> list[str]:
    """What stands before a command so that it does not run as root, which Postgres refuses."""
    if os.getuid() != 0:
        return []
    import pwd

    names = {user.pw_name: user for user in pwd.getpwall()}
    user = names.get("postgres") or names.get("nobody")
    if user is None or sys.platform != "linux":
        pytest.skip("Postgres does not run as root, and there is no other user to run it as")
    folder.chmod(0o755)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]
