"""An Airflow on Postgres with a bundle of pipelines, which all tests of this folder share."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_ingest.runtime import ServerStatus
from tests.live.conftest import Site, running
from tests.postgres import Postgres


@pytest.fixture(scope="package")
def postgres_site(
    tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus, postgres: Postgres
) -> Iterator[Site]:
    """An Airflow on Postgres that runs what is due, with its pipelines from a PipelineDagBundle."""
    folder = tmp_path_factory.mktemp("postgres")
    env = {"AIRFLOW_CONN_DESK": json.dumps({"conn_type": "sqlite", "host": str(folder / "desk.db")})}
    database = postgres.database(folder.name)
    with running(folder, loader=False, env=env, database=database, parallelism=4) as site:
        yield site
