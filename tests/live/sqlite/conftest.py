"""An Airflow on SQLite, which all tests of this folder share."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_ingest.runtime import ServerStatus
from tests.live.conftest import Site, logged_in, running


@pytest.fixture(scope="package")
def sqlite_site(tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus) -> Iterator[Site]:
    """An Airflow on SQLite that runs what it is told to."""
    with running(tmp_path_factory.mktemp("sqlite"), schedule=False, parallelism=3) as site:
        yield site


@pytest.fixture
def site(sqlite_site: Site) -> Iterator[Site]:
    """It, and what a test drops into its dags folder is removed again."""
    before = set(sqlite_site.dags.iterdir())
    yield sqlite_site
    for path in set(sqlite_site.dags.iterdir()) - before:
        path.unlink() if path.is_file() else shutil.rmtree(path)


@pytest.fixture
def page(site: Site) -> Iterator[Any]:
    """A browser in which somebody has logged in."""
    with logged_in(site.airflow) as page:
        yield page
