from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from airflow_ingest.runtime import stop_server
from airflow_ingest.runtime.state import HOME


@pytest.fixture(scope="session", autouse=True)
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Under `make chaos` every worker has a Spark server to itself: a case that kills it would hit another's."""
    if os.environ.get("CHAOS") != "all":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(HOME, str(tmp_path_factory.mktemp("home")))
        yield
        stop_server()
