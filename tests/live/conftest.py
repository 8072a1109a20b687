"""One Airflow for all live tests of a module."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.runtime import ServerStatus
from airflow_ingest.testing import LocalAirflow
from tests.postgres import Postgres

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@dataclass(frozen=True)
class Site:
    """A running Airflow with the folders that its pipelines see."""

    airflow: LocalAirflow
    dags: Path
    landing: Path
    lake: Path

    def land(self, name: str, text: str) -> None:
        file = self.landing / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def drop(self, name: str, text: str) -> None:
        """Puts a file into the dags folder in one go, as a careful user would."""
        draft = self.dags / f"{name}.draft"
        draft.write_text(text)
        draft.rename(self.dags / name)

    def backfill(self, dag_id: str, first: datetime, last: datetime, *, reprocess: str = "none") -> None:
        """Asks for a backfill, four runs at once, while Airflow is down, and starts it again.

        On SQLite a write of the scheduler at that moment makes Airflow give up, and delete runs it was to repeat.
        """
        self.airflow.stop()
        self.backfill_from_the_shell(dag_id, first, last, **{"max-active-runs": "4", "reprocess-behavior": reprocess})
        self.airflow.start()

    def backfill_from_the_shell(self, dag_id: str, first: datetime, last: datetime, **how: str) -> None:
        """Asks for a backfill by `airflow backfill create`."""
        wanted = {"dag-id": dag_id, "from-date": first.isoformat(), "to-date": last.isoformat(), **how}
        options = [part for name, value in wanted.items() for part in (f"--{name}", value)]
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "backfill", "create", *options],
            env=self.airflow.environment(),
            cwd=self.airflow.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def failures(self, dag_id: str) -> str:
        """What the failed tasks of a DAG wrote."""
        api = self.airflow.api
        return "\n\n".join(
            f"{run.run_id} {task.task_id}\n{api.log(dag_id, run.run_id, task.task_id, task.try_number)}"
            for run in api.runs(dag_id)
            for task in api.tasks(dag_id, run.run_id)
            if task.state == "failed"
        )


@contextmanager
def logged_in(airflow: LocalAirflow, **context: Any) -> Iterator[Any]:
    """A page of a browser in which somebody has logged in; `context` are further settings of the browser's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the dependency group `browser` is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_context(viewport={"width": 1300, "height": 1500}, **context).new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{airflow.url}/auth/login")
        page.locator("input[name=username]").fill(airflow.username)
        page.locator("input[name=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_load_state("networkidle")
        yield page
        browser.close()


@contextmanager
def running(
    folder: Path, *, loader: bool = True, env: Mapping[str, str] | None = None, **airflow: Any
) -> Iterator[Site]:
    """An Airflow with nothing but the loader that users copy; its tasks share the test run's Spark.

    Without `loader` the folder of pipelines is a PipelineDagBundle. `env` are more environment variables, and `airflow`
    further arguments of `LocalAirflow`.
    """
    dags, landing, lake = (folder / name for name in ("dags", "landing", "lake"))
    dags.mkdir()
    landing.mkdir()
    names = {"LANDING_ROOT": landing, "LAKE_ROOT": lake, "AIRFLOW_INGEST_HOME": os.environ["AIRFLOW_INGEST_HOME"]}
    env = {**{name: str(value) for name, value in names.items()}, **(env or {})}
    if loader:
        shutil.copy(REPOSITORY / "dags" / "ingest_loader.py", dags)
    else:
        kwargs = {"path": str(dags), "refresh_interval": 2}
        bundle = {"name": "pipelines", "classpath": "airflow_ingest.bundles.PipelineDagBundle", "kwargs": kwargs}
        env["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps([bundle])
    with LocalAirflow(folder / "airflow", dags, env=env, **airflow) as local:
        yield Site(local, dags, landing, lake)
    assert local.processes() == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus) -> Iterator[Site]:
    """An Airflow that runs what it is told to."""
    with running(tmp_path_factory.mktemp("live"), schedule=False) as site:
        yield site


@pytest.fixture(scope="module")
def busy_site(tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus) -> Iterator[Site]:
    """An Airflow that runs what is due as well, many tasks at once."""
    with running(tmp_path_factory.mktemp("busy"), schedule=True, parallelism=6) as site:
        yield site


@pytest.fixture(scope="module")
def postgres_site(
    tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus, postgres: Postgres
) -> Iterator[Site]:
    """An Airflow on Postgres that runs what is due, with its pipelines from a PipelineDagBundle."""
    folder = tmp_path_factory.mktemp("postgres")
    env = {"AIRFLOW_CONN_DESK": json.dumps({"conn_type": "sqlite", "host": str(folder / "desk.db")})}
    database = postgres.database(folder.name)
    with running(folder, loader=False, env=env, database=database, parallelism=4) as site:
        yield site


@pytest.fixture
def page(site: Site) -> Iterator[Any]:
    """A browser in which somebody has logged in."""
    with logged_in(site.airflow) as page:
        yield page
