"""The loader under Airflow's own dag-processor, with a database: what the UI lists."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factory.conftest import SHARED, small

pytestmark = pytest.mark.airflow


def process(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Let a dag-processor read the folder once; return the ids of the DAGs it stored and the import errors."""
    from airflow.models.dag import DagModel
    from airflow.models.errors import ParseImportError
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    environment = {**os.environ, "AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    command = [sys.executable, "-m", "airflow", "dag-processor", "--num-runs", "1"]
    subprocess.run(command, env=environment, check=True, timeout=180, capture_output=True)
    with create_session() as session:
        active = select(DagModel.dag_id).where(~DagModel.is_stale, ~DagModel.has_import_errors)
        stored = set(session.scalars(select(SerializedDagModel.dag_id)))
        errors = session.scalars(select(ParseImportError).where(ParseImportError.bundle_name == "dags-folder"))
        return (
            sorted(stored.intersection(session.scalars(active))),
            {str(error.filename): str(error.stacktrace) for error in errors},
        )


def test_good_files_are_stored_and_bad_ones_listed_until_they_are_mended(airflow_db: None, folder: Path) -> None:
    (folder / "bad.yaml").write_text(small("bad", extra="shedule: x\n"))
    (folder / "other.yaml").write_text(small("other"))

    dags, errors = process(folder)

    assert dags == [*SHARED, "other", "shop"]
    assert list(errors) == ["bad.yaml"]
    assert f"{folder / 'bad.yaml'}:{len(small().splitlines()) + 1}:1: shedule: unknown key" in errors["bad.yaml"]

    (folder / "bad.yaml").write_text(small("bad"))

    assert process(folder) == (
        ["bad", *SHARED, "other", "shop"],
        {},
    )
