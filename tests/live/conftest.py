"""Running Airflows. Each folder has one, which is started once; its tests go to one worker and share it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.testing import DagRun, LocalAirflow
from tests.mailbox import Mail, Mailbox

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PATIENCE = 1200
"""Seconds until a test gives up a run; a busy machine takes long, and a passing test waits for none of them."""
_CALM = {
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
}
"""Several Airflows that look for work ten times a second leave none of two cores for it."""
_ONCE_A_MINUTE = {"AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60"}
"""How often a bundle's files are read that have not changed; the loader reads others than itself."""


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Sends all tests of a folder to one worker."""
    from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

    class ByFolder(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return nodeid.partition("::")[0].rpartition("/")[0]

    return ByFolder(config, log)


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

    def within(self, name: str) -> Site:
        """The same Airflow with a part of the landing zone and of the lake, for one test."""
        return replace(self, landing=self.landing / name, lake=self.lake / name)

    def drop(self, name: str, text: str) -> None:
        """Puts a file into the dags folder in one go, as a careful user would."""
        draft = self.dags / f"{name}.draft"
        draft.write_text(text)
        draft.rename(self.dags / name)

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

    def seen(self, dag_id: str) -> None:
        """Waits until Airflow shows a DAG, and lets it run."""
        self.airflow.wait_for(lambda: dag_id in self.airflow.api.dags(), timeout=120, what=f"the DAG {dag_id}")
        self.airflow.api.unpause(dag_id)

    def over(self, dag_id: str, *run_ids: str) -> list[DagRun]:
        """These runs of a DAG, or all that there are, once they are over."""

        def found() -> list[DagRun]:
            return [run for run in self.airflow.api.runs(dag_id) if not run_ids or run.run_id in run_ids]

        def ended() -> bool:
            runs = found()
            return bool(runs) and all(run.finished for run in runs)

        self.airflow.wait_for(ended, timeout=PATIENCE, what=f"the runs of {dag_id}", poll=1)
        return found()

    def failures(self, dag_id: str) -> str:
        """What the failed tasks of a DAG wrote."""
        api = self.airflow.api
        return "\n\n".join(
            f"{run.run_id} {task.task_id}\n{api.log(dag_id, run.run_id, task.task_id, task.try_number)}"
            for run in api.runs(dag_id)
            for task in api.tasks(dag_id, run.run_id)
            if task.state == "failed"
        )


@dataclass(frozen=True)
class Office:
    """An Airflow that is watched: the server that its mails go to, and what it tells StatsD and OpenLineage."""

    site: Site
    box: Mailbox
    packets: list[str]
    events: Path

    def about(self, pipeline: str) -> list[Mail]:
        """The mails about a pipeline so far."""
        return [mail for mail in self.box.mails if f"] {pipeline}: " in mail.subject]

    def drop(self, name: str, text: str) -> None:
        """Puts a pipeline into the dags folder, and lets it run once it is seen."""
        self.site.drop(f"{name}.yaml", text)
        self.site.seen(name)


@contextmanager
def logged_in(airflow: LocalAirflow, **context: Any) -> Iterator[Any]:
    """A page of a browser in which somebody has logged in; `context` are further settings of the browser's."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the dependency group `browser` is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        screen = {"viewport": {"width": 1300, "height": 1500}, "reduced_motion": "reduce", **context}
        page = browser.new_context(**screen).new_page()
        page.set_default_timeout(60_000)
        page.goto(f"{airflow.url}/auth/login")
        page.locator("input[name=username]").fill(airflow.username)
        page.locator("input[name=password]").fill(airflow.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/auth/" not in url)
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
    env = {**{name: str(value) for name, value in names.items()}, **_CALM, **(env or {})}
    if loader:
        shutil.copy(REPOSITORY / "dags" / "ingest_loader.py", dags)
    else:
        kwargs = {"path": str(dags), "refresh_interval": 2}
        env |= _ONCE_A_MINUTE
        bundle = {"name": "pipelines", "classpath": "airflow_ingest.bundles.PipelineDagBundle", "kwargs": kwargs}
        env["AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"] = json.dumps([bundle])
    with LocalAirflow(folder / "airflow", dags, env=env, **airflow) as local:
        yield Site(local, dags, landing, lake)
    assert local.processes() == []
