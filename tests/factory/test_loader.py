"""A folder of pipeline files: what Airflow sees of it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_ingest.config import ConfigError
from tests.factory.conftest import LOADER, SHARED, small

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

Bag = Callable[[], "DagBag"]


def pipelines_of(found: DagBag) -> list[str]:
    """The DAGs but for those that serve all pipelines."""
    return sorted(found.dags.keys() - set(SHARED))


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the pipeline files that are read from now on."""
    read: list[str] = []
    real = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path.suffix in (".yaml", ".yml"):
            read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    return read


def test_the_loader_has_three_lines_that_safe_mode_takes_for_a_dag_file() -> None:
    lines = LOADER.read_text().splitlines()

    assert len(lines) == 3
    assert "airflow" in LOADER.read_text()
    assert "dag" in LOADER.read_text()


def test_every_file_becomes_a_dag(folder: Path, bag: Bag) -> None:
    (folder / "second.yml").write_text(small("second"))
    (folder / "notes.txt").write_text("no pipeline")

    found = bag()

    assert pipelines_of(found) == ["second", "shop"]
    assert found.import_errors == {}
    assert "ingest_maintenance" in found.dags
    assert {dag.relative_fileloc for dag in found.dags.values()} == {"ingest_loader.py"}


def test_a_dropped_and_an_edited_file_are_seen_at_the_next_import(folder: Path, bag: Bag) -> None:
    assert pipelines_of(bag()) == ["shop"]
    (folder / "late.yaml").write_text(small("late"))
    (folder / "shop.yaml").write_text(small(extra="description: new\n"))

    found = bag()

    assert pipelines_of(found) == ["late", "shop"]
    assert found.dags["shop"].description == "new"


def test_a_bad_file_is_its_own_import_error_and_hides_no_other(folder: Path, bag: Bag) -> None:
    (folder / "bad.yaml").write_text(small("bad", extra="shedule: x\n"))
    (folder / "broken.yaml").write_text("pipeline: [broken\n")

    found = bag()

    line = len(small().splitlines()) + 1
    assert pipelines_of(found) == ["shop"]
    assert sorted(found.import_errors) == ["bad.yaml", "broken.yaml"]
    assert found.import_errors["bad.yaml"].startswith(f'{folder / "bad.yaml"}:{line}:1: shedule: unknown key "shedule"')
    assert f"{folder / 'broken.yaml'}:1:11: not valid YAML" in found.import_errors["broken.yaml"]

    (folder / "bad.yaml").write_text(small("bad"))
    assert sorted(bag().import_errors) == ["broken.yaml"]


def test_a_name_that_is_there_twice_is_refused(folder: Path, bag: Bag) -> None:
    (folder / "shop.yml").write_text(small())

    found = bag()

    assert pipelines_of(found) == ["shop"]
    assert "shop.yaml beside it already holds the pipeline shop" in found.import_errors["shop.yml"]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        pytest.param("dag: {fail_fast: true}", "Airflow refuses what is under dag: ", id="dag-refused-by-airflow"),
        pytest.param("task: {executor: Nowhere}", "Airflow refuses what is under task: ", id="no-such-executor"),
        pytest.param("dag: {params: {day: 2013-01-01}}", "not serializable", id="not-serializable"),
    ],
)
def test_what_airflow_would_refuse_later_is_that_files_error(folder: Path, bag: Bag, extra: str, message: str) -> None:
    (folder / "odd.yaml").write_text(small("odd", extra=f"{extra}\n"))

    found = bag()

    assert pipelines_of(found) == ["shop"]
    assert list(found.import_errors) == ["odd.yaml"]
    assert message in found.import_errors["odd.yaml"]


def test_what_a_policy_of_this_airflow_refuses_is_that_files_error(folder: Path, bag: Bag) -> None:
    from airflow.exceptions import AirflowClusterPolicyViolation
    from airflow.policies import hookimpl
    from airflow.settings import get_policy_plugin_manager

    class EveryDagNeedsTags:
        @staticmethod
        @hookimpl
        def dag_policy(dag: object) -> None:
            dag.description = f"{dag.description}!"  # type: ignore[attr-defined]
            if not dag.tags:  # type: ignore[attr-defined]
                raise AirflowClusterPolicyViolation("tags are missing")

    (folder / "shop.yaml").write_text(small(extra="tags: [a]\ndescription: Mine\n"))
    (folder / "untagged.yaml").write_text(small("untagged"))
    manager = get_policy_plugin_manager()
    plugin = manager.register(EveryDagNeedsTags)
    try:
        found = bag()
    finally:
        manager.unregister(name=plugin)

    assert pipelines_of(found) == ["shop"]
    assert found.dags["shop"].description == "Mine!"
    assert list(found.import_errors) == ["untagged.yaml"]
    assert "tags are missing" in found.import_errors["untagged.yaml"]


def test_a_task_start_reads_its_own_file_alone(
    folder: Path, bag: Bag, monkeypatch: pytest.MonkeyPatch, reading: list[str]
) -> None:
    for number in range(20):
        (folder / f"p{number}.yaml").write_text(small(f"p{number}"))
    (folder / "bad.yaml").write_text("nonsense")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "p7")

    found = bag()

    assert list(found.dags) == ["p7"]
    assert reading == ["p7.yaml"]
    assert found.import_errors == {}


def test_a_task_start_of_a_bad_file_says_what_is_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_ingest.factory import load_dags

    (folder / "shop.yaml").write_text(small(extra="shedule: x\n"))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "shop")

    with pytest.raises(ConfigError, match=r"shop\.yaml:\d+:1: shedule"):
        load_dags(folder)


def test_outside_an_import_errors_are_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    from airflow_ingest.factory import load_dags

    (folder / "bad.yaml").write_text("nonsense")

    with pytest.warns(UserWarning, match=r"bad\.yaml"):
        dags = load_dags(folder)

    assert sorted(dags) == [*SHARED, "shop"]
    assert "bad.yaml" in caplog.text


def test_importing_the_loader_imports_no_spark(folder: Path) -> None:
    program = (
        "import runpy, sys; found = runpy.run_path(sys.argv[1]); assert 'shop' in found;"
        "print([name for name in ('pyspark', 'pandas', 'pyarrow', 'grpc') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder / LOADER.name)],
        capture_output=True,
        text=True,
        env=os.environ,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
