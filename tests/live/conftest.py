"""One Airflow for all live tests of a module."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_ingest.runtime import ServerStatus
from airflow_ingest.testing import LocalAirflow

REPOSITORY = Path(__file__).parents[2]


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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus) -> Iterator[Site]:
    """An Airflow with nothing but the loader that users copy; its tasks share the test run's Spark."""
    folder = tmp_path_factory.mktemp("live")
    dags, landing, lake = (folder / name for name in ("dags", "landing", "lake"))
    dags.mkdir()
    landing.mkdir()
    shutil.copy(REPOSITORY / "dags" / "ingest_loader.py", dags)
    names = {"LANDING_ROOT": landing, "LAKE_ROOT": lake, "AIRFLOW_INGEST_HOME": os.environ["AIRFLOW_INGEST_HOME"]}
    env = {name: str(value) for name, value in names.items()}
    with LocalAirflow(folder / "airflow", dags, env=env, schedule=False) as airflow:
        yield Site(airflow, dags, landing, lake)
    assert airflow.processes() == []
