"""A whole Airflow on this machine, for a demonstration or a test."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import httpx

from airflow_ingest.config import IngestError
from airflow_ingest.runtime import session
from airflow_ingest.testing.processes import (
    Component,
    in_sessions,
    interrupts_held,
    marked_processes,
    start_component,
    stop_processes,
)
from airflow_ingest.testing.rest import AirflowApi, AirflowApiError
from airflow_ingest.testing.settings import USERNAME, choose_port, write_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_RUNTIME_HOME = "AIRFLOW_INGEST_HOME"
_MARK = "AIRFLOW_INGEST_LOCAL_AIRFLOW"
_AIRFLOW_SETTING = re.compile("AIRFLOW_(_|HOME$|CONFIG$|CONN_|VAR_)")
_COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}


class LocalAirflowError(IngestError):
    """Airflow did not start, or one of its components ended; shows the end of that component's log."""


class LocalAirflow:
    """Scheduler, dag-processor, triggerer and api-server as children of this process, on loopback.

    Everything is kept in `home`, which only this object uses; components write to `home/logs/<component>.log`.
    Use it as a context manager: whatever ends the block, also Ctrl-C or a failure while starting, ends every process
    that Airflow started, and the Spark server that its tasks started.

    home: the folder to be AIRFLOW_HOME; secrets are made in it once, readable by you alone.
    dags_folder: where DAG files are.
    env: more environment variables for every component, and so for every task.
    port: of the UI and the API; a free one if left out.
    parallelism: how many tasks may run at once.
    schedule: whether DAGs run on their schedules; without, only what is triggered or backfilled runs.
    database: the SQLAlchemy URL of an empty database of its own (`postgresql+psycopg2://…`); SQLite if left out, on
        which one process writes at a time.
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        *,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        parallelism: int = 2,
        schedule: bool = True,
        database: str | None = None,
        startup_timeout: float = 180,
    ) -> None:
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        self.runtime_home = self.home / "runtime"
        self.username = USERNAME
        self._env = dict(env or {})
        self._port = port
        self._parallelism = parallelism
        self._schedule = schedule
        self._database = database
        self._startup_timeout = startup_timeout
        self._components: list[Component] = []

    def __enter__(self) -> LocalAirflow:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts everything and returns once Airflow calls itself healthy.

        Raises LocalAirflowError where a component ends early, a port is taken or the time runs out.
        """
        self.stop()
        atexit.register(self.stop)
        try:
            port = choose_port(self._port)
            self.url = f"http://127.0.0.1:{port}"
            self.password = write_settings(
                self.home,
                self.dags_folder,
                port=port,
                parallelism=self._parallelism,
                schedule=self._schedule,
                database=self._database,
            )
            self.api = AirflowApi(self.url, self.username, self.password)
            self._migrate()
            for name, command in _COMPONENTS.items():
                self._launch(name, command)
            self.wait_for(self._healthy, timeout=self._startup_timeout, what="Airflow to become healthy")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends every process that belongs to this home, including those left by an earlier owner that was killed."""
        with interrupts_held():
            leaders = [component.process.pid for component in self._components]
            stop_processes(lambda: in_sessions(self.processes(), leaders), grace=8)
            stop_processes(self.processes, grace=15)  # Spark, now that no task can start it again
            for component in self._components:
                component.process.wait()
            self._components.clear()
            atexit.unregister(self.stop)

    def processes(self) -> list[int]:
        """The ids of all processes that belong to this home, whoever started them."""
        return marked_processes(_MARK, str(self.home))

    def wait_for(self, done: Callable[[], bool], *, timeout: float, what: str, poll: float = 0.5) -> None:
        """Waits until `done()`; raises LocalAirflowError if a component ends meanwhile or the time runs out."""
        deadline = time.monotonic() + timeout
        while not done():
            self.check()
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {part.log}\n{part.tail(8)}" for part in self._components)
                raise LocalAirflowError(f"Waited {timeout:.0f} s in vain for {what}.\n{logs}")
            time.sleep(poll)

    def check(self) -> None:
        """Raises LocalAirflowError if a component has ended."""
        for component in self._components:
            if component.exit_code is not None:
                raise LocalAirflowError(
                    f"Airflow's {component.name} ended with code {component.exit_code}. "
                    f"The end of {component.log}:\n{component.tail()}"
                )

    @contextlib.contextmanager
    def spark(self) -> Iterator[SparkSession]:
        """A session on the Spark that this Airflow's tasks use."""
        mine = {name: value for name, value in self.environment().items() if name in (_RUNTIME_HOME, _MARK)}
        before = {name: os.environ.get(name) for name in mine}
        os.environ.update(mine)
        try:
            with session() as spark:
                yield spark
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def environment(self) -> dict[str, str]:
        """The environment that components and tasks get: yours without its Airflow settings, plus `env`."""
        inherited = {name: value for name, value in os.environ.items() if not _AIRFLOW_SETTING.match(name)}
        loopback = ",".join(filter(None, [inherited.get("no_proxy"), "localhost", "127.0.0.1"]))
        return {
            **inherited,
            "NO_PROXY": loopback,
            "no_proxy": loopback,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)]),
            "PYTHONUNBUFFERED": "1",
            "SPT_NOENV": "1",  # a process that renames itself would otherwise overwrite the mark
            _RUNTIME_HOME: str(self.runtime_home),
            **self._env,
            "AIRFLOW_HOME": str(self.home),
            _MARK: str(self.home),
        }

    def _migrate(self) -> None:
        migration = self._launch("migration", ("db", "migrate"))
        try:
            code = migration.process.wait(self._startup_timeout)
        except subprocess.TimeoutExpired:
            code = -1
        if code:
            raise LocalAirflowError(f"Airflow could not make its database. The end of its log:\n{migration.tail()}")
        self._components.remove(migration)

    def _launch(self, name: str, command: tuple[str, ...]) -> Component:
        with interrupts_held():
            component = start_component(
                name,
                (sys.executable, "-m", "airflow", *command),
                env=self.environment(),
                cwd=self.home,
                log=self.home / "logs" / f"{name}.log",
            )
            self._components.append(component)
        return component

    def _healthy(self) -> bool:
        try:
            return set(self.api.health().values()) == {"healthy"}
        except (httpx.TransportError, AirflowApiError):
            return False
