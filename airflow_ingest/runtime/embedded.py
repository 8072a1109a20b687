"""The embedded server: start it unless it runs, stop it, tell how it is."""

import os
import signal
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

import psutil

from airflow_ingest.runtime.endpoints import Embedded
from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.jars import delta_jars, driver_jars, spark_home
from airflow_ingest.runtime.java import find_java, java_path
from airflow_ingest.runtime.launch import fingerprint
from airflow_ingest.runtime.ports import clients
from airflow_ingest.runtime.startup import ended_early, launch, wait_until_ready
from airflow_ingest.runtime.state import ServerFolder, ServerState, server_folder, server_folders

_STOP_TIMEOUT = 30.0


@dataclass(frozen=True)
class ServerStatus:
    """A running server. `url` holds its token: hand it to Spark, show `address`."""

    address: str
    pid: int
    started: datetime
    clients: int
    log: Path
    url: str = field(repr=False)


def start_server(settings: Embedded | None = None) -> ServerStatus:
    """The server with these settings, started if it does not run. Several callers at once start one.

    Raises `RuntimeProblem` if something that it needs is missing, or if it does not come up.
    """
    settings = settings or Embedded()
    jars = (*sorted(spark_home().glob("jars/*.jar")), *delta_jars(), *driver_jars(settings.drivers))
    folder = server_folder(fingerprint(settings, java_path(), jars))
    with folder.lock(settings.start_timeout.total_seconds() + _STOP_TIMEOUT):
        folder.touch()
        state = wait_until_ready(folder, settings) if folder.alive() else None
        if state is None:
            _end_orphan(folder)
            launch(folder, settings, find_java(), jars)
            state = wait_until_ready(folder, settings)
        if state is None:
            raise ended_early(folder)
        folder.touch()
    return _status(folder, state)


def stop_server() -> tuple[ServerStatus, ...]:
    """Stop every embedded server of this user, whatever runs on it; returns those that ran."""
    stopped = []
    for folder in server_folders():
        if state := folder.state():
            stopped.append(_status(folder, state))
            os.kill(state.supervisor, signal.SIGTERM)
            _wait_for_end(folder, state)
        else:
            _end_orphan(folder)
    return tuple(stopped)


def server_status() -> tuple[ServerStatus, ...]:
    """The embedded servers of this user that run: one for each set of settings in use."""
    found = ((folder, folder.state()) for folder in server_folders())
    return tuple(_status(folder, state) for folder, state in found if state)


def _wait_for_end(folder: ServerFolder, state: ServerState) -> None:
    deadline = time.monotonic() + _STOP_TIMEOUT
    while folder.alive():
        if time.monotonic() > deadline:
            raise RuntimeProblem(
                f"Spark (process {state.pid}) does not stop.", f"Run kill -9 {state.supervisor} {state.pid}."
            )
        time.sleep(0.05)


def _end_orphan(folder: ServerFolder) -> None:
    """End a JVM whose supervisor was killed. On Linux it is already on its way; its id may belong to another by now."""
    state = folder.last_state()
    if state is None:
        return
    try:
        process = psutil.Process(state.pid)
        if process.create_time() != state.born:
            return
        process.terminate()
        process.wait(_STOP_TIMEOUT)
    except psutil.TimeoutExpired:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _status(folder: ServerFolder, state: ServerState) -> ServerStatus:
    return ServerStatus(
        address=f"sc://localhost:{state.port}",
        pid=state.pid,
        started=datetime.fromtimestamp(state.started, timezone.utc),
        clients=clients(state.pid, state.port),
        log=folder.log,
        url=f"sc://localhost:{state.port}/;token={state.token}",
    )
