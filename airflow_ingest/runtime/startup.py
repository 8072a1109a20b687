"""Bringing a server up: launch its supervisor, wait until it answers, tell why it does not."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

from airflow_ingest.runtime.endpoints import PORT, START_TIMEOUT, Embedded
from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.java import Java
from airflow_ingest.runtime.launch import arguments
from airflow_ingest.runtime.ports import answers, free_port, is_free
from airflow_ingest.runtime.state import ServerFolder, ServerState

_SUPERVISOR = Path(__file__).with_name("supervisor.py")


def launch(folder: ServerFolder, settings: Embedded, java: Java, jars: tuple[Path, ...]) -> None:
    """Start the supervisor, detached from this process, with a new token. Raises `RuntimeProblem` on a taken port."""
    if settings.port and not is_free(settings.port):
        raise RuntimeProblem(
            f"Port {settings.port} is taken, so Spark cannot listen on it.",
            f"Free it, or unset {PORT}: any free port is then taken.",
        )
    port = settings.port or free_port()
    for old in (folder.file("server.json"), folder.log, folder.output):
        old.unlink(missing_ok=True)
    folder.write("java.args", arguments(settings, folder.path, port, jars))
    order = {
        "command": [str(java.path), f"@{folder.file('java.args')}"],
        "port": port,
        "idle_seconds": settings.idle_timeout.total_seconds(),
    }
    folder.write("launch.json", json.dumps(order))
    with folder.file("supervisor.log").open("wb") as log:
        subprocess.run(  # noqa: S603 - it holds its lock when it returns
            [sys.executable, "-I", str(_SUPERVISOR), str(folder.path)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={
                "PYSPARK_PYTHON": sys.executable,  # whatever is called python3 on the path need not have pyspark
                **os.environ,
                "SPARK_CONNECT_AUTHENTICATE_TOKEN": secrets.token_urlsafe(32),
            },
            cwd=folder.path,
            check=False,
        )


def wait_until_ready(folder: ServerFolder, settings: Embedded) -> ServerState | None:
    """Wait until the server answers; None if it ends before. Raises `RuntimeProblem` if it takes too long."""
    seconds = settings.start_timeout.total_seconds()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        state = folder.state()
        if state and answers(state.port):
            return state
        if not folder.alive():
            return None
        time.sleep(0.05)
    raise RuntimeProblem(
        f"Spark has not come up within {seconds:.0f} s. The end of {folder.log}:\n{_last_words(folder)}",
        f"Try again, or give it longer ({START_TIMEOUT}=5m).",
    )


def ended_early(folder: ServerFolder) -> RuntimeProblem:
    """What to say of a server that ended before it answered."""
    return RuntimeProblem(
        f"Spark ended while it was starting. The end of {folder.log}:\n{_last_words(folder)}",
        "Mend what it tells, then try again.",
    )


def _last_words(folder: ServerFolder, lines: int = 15) -> str:
    words: deque[str] = deque(maxlen=lines)
    for path in (folder.file("supervisor.log"), folder.output, folder.log):
        if path.exists():
            words.extend(line.strip() for line in path.read_text(errors="replace").splitlines() if line.strip())
    return "\n".join(f"  {line[:300]}" for line in words) or "  (it is empty)"
