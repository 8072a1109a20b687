"""A pytest plugin that gives tests a real Spark with Delta Lake: `pytest_plugins = ["airflow_ingest.testing.spark"]`.

The first test that asks for `spark` starts one embedded server in a state folder of this test run; all tests share it,
pytest-xdist workers included, and the run's end stops it. Code under test that starts an embedded Spark finds the same.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from airflow_ingest.runtime import Embedded, ServerStatus, session, start_server, stop_server
from airflow_ingest.runtime.endpoints import IDLE_TIMEOUT
from airflow_ingest.runtime.state import HOME

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_SMALL = {"spark.sql.shuffle.partitions": "1", "spark.databricks.delta.snapshotPartitions": "1"}
"""A test's tables have a handful of rows."""

_RUN = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give this run a state folder of its own; workers inherit it."""
    if not hasattr(config, "workerinput"):
        config.stash[_RUN] = os.environ[HOME] = tempfile.mkdtemp(prefix="airflow-ingest-tests-")
        os.environ.setdefault(IDLE_TIMEOUT, "5m")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the run started."""
    if folder := config.stash.get(_RUN, None):
        os.environ[HOME] = folder
        stop_server()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def spark_server() -> ServerStatus:
    """The server that this test run shares."""
    return start_server(Embedded())


@pytest.fixture
def spark(spark_server: ServerStatus) -> Iterator["SparkSession"]:
    """A fresh session: no view and no setting of another test is in it."""
    with session(Embedded(), _SMALL) as fresh:
        yield fresh
