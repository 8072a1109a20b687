"""A state folder for one module, apart from the one that the whole test run shares."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_ingest.runtime import stop_server


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("AIRFLOW_INGEST_HOME", str(folder))
        patch.setenv("AIRFLOW_INGEST_SPARK_MEMORY", "700m")
        yield folder
        assert os.environ["AIRFLOW_INGEST_HOME"] == str(folder)
        stop_server()
