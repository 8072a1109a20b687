"""A folder of pipeline files without a loader: what Airflow imports of it, and what it says of mistakes."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.factory.conftest import SHARED, small

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

    from airflow_ingest.bundles import PipelineDagBundle

Bundle = Callable[..., "PipelineDagBundle"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one pipeline, and nothing else."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    drop(folder, "shop.yaml", small())
    return folder


@pytest.fixture
def bundle(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    """The bundle of that folder, as one process holds it."""
    from airflow.dag_processing.bundles import base

    monkeypatch.setattr(base, "get_bundle_storage_root_path", lambda: tmp_path / "bundles")

    def build(**arguments: Any) -> PipelineDagBundle:
        from airflow_ingest.bundles import PipelineDagBundle

        made = PipelineDagBundle(name="pipelines", path=str(folder), **arguments)
        made.initialize()
        return made

    return build


def drop(folder: Path, name: str, text: str, *, age: float = 5) -> None:
    """A file that was written `age` seconds ago."""
    (folder / name).write_text(text)
    os.utime(folder / name, (time.time() - age,) * 2)


def bag(bundle: PipelineDagBundle) -> DagBag:
    from airflow.dag_processing.dagbag import DagBag

    return DagBag(bundle.path, bundle_path=bundle.path)


def pipelines_of(found: DagBag) -> list[str]:
    return sorted(found.dags.keys() - set(SHARED))


def test_every_file_is_a_dag_of_its_own_beside_the_shared_ones(folder: Path, bundle: Bundle) -> None:
    drop(folder, "second.yml", small("second"))
    (folder / "notes.txt").write_text("no pipeline")

    found = bag(bundle())

    assert found.import_errors == {}
    files = {dag.dag_id: dag.relative_fileloc for dag in found.dags.values()}
    shared = dict.fromkeys(SHARED, "ingest_shared.py")
    assert files == {"shop": "shop.yaml.py", "second": "second.yml.py", **shared}
    assert set(found.dags["ingest_maintenance"].task_ids) == {"shop", "second"}


def test_dropped_changed_and_removed_files_follow_at_the_next_refresh(folder: Path, bundle: Bundle) -> None:
    one = bundle()
    before = (one.path / "shop.yaml.py").read_text()
    drop(folder, "late.yaml", small("late"))
    drop(folder, "shop.yaml", small(extra="description: new\n"))

    one.refresh()

    assert (one.path / "shop.yaml.py").read_text() != before, "Airflow imports a file again when it has changed"
    found = bag(one)
    assert (pipelines_of(found), found.dags["shop"].description) == (["late", "shop"], "new")
    for name in ("late.yaml", "shop.yaml"):
        (folder / name).unlink()
    one.refresh()
    assert [file.name for file in one.path.iterdir() if file.is_file()] == []


def test_nothing_is_written_where_nothing_has_changed(bundle: Bundle) -> None:
    one = bundle()
    before = {file: file.stat() for file in one.path.iterdir()}

    bundle().refresh()

    assert {file: file.stat() for file in one.path.iterdir()} == before


def test_a_mistake_is_told_of_the_file_that_people_write_and_hurts_no_other(folder: Path, bundle: Bundle) -> None:
    drop(folder, "bad.yaml", small("bad", extra="shedule: x\n"))
    drop(folder, "broken.yaml", "pipeline: [broken\n")
    drop(folder, "odd.yaml", small("odd", extra="dag: {dagrun_timeout: 5}\n"))

    found = bag(bundle())

    line = len(small().splitlines()) + 1
    assert pipelines_of(found) == ["shop"]
    assert found.import_errors["bad.yaml.py"].startswith(f"{folder / 'bad.yaml'}:{line}:1: shedule: unknown key")
    assert found.import_errors["broken.yaml.py"].startswith(f"{folder / 'broken.yaml'}:1:11: not valid YAML")
    assert found.import_errors["odd.yaml.py"].startswith(f"{folder / 'odd.yaml'}:{line}:7: dag.dagrun_timeout: 5 is")
    assert found.dags["ingest_maintenance"].task_ids == ["odd", "shop"], "what Airflow refuses still has tables"


def test_a_file_that_is_being_written_waits_until_it_has_come_to_rest(folder: Path, bundle: Bundle) -> None:
    one = bundle()
    half = small(extra="description: half\n")
    drop(folder, "shop.yaml", half, age=0)
    drop(folder, "late.yaml", half[:100], age=0)

    one.refresh()

    found = bag(one)
    assert (pipelines_of(found), found.import_errors) == (["shop"], {})
    assert found.dags["shop"].description != "half"
    for name, text in (("shop.yaml", half), ("late.yaml", half[:100])):
        drop(folder, name, text)
    one.refresh()
    found = bag(one)
    assert found.dags["shop"].description == "half"
    assert list(found.import_errors) == ["late.yaml.py"]


def test_a_folder_that_is_not_there_takes_no_dag_away(folder: Path, bundle: Bundle) -> None:
    one = bundle()
    folder.rename(folder.with_name("elsewhere"))

    one.refresh()

    assert pipelines_of(bag(one)) == ["shop"]


def test_names_that_are_taken_are_refused(folder: Path, bundle: Bundle) -> None:
    drop(folder, "shop.yml", small())
    drop(folder, "tidy.yaml", small("tidy"))

    found = bag(bundle(maintenance={"dag_id": "tidy", "schedule": "@weekly", "retain": "30d"}, by_hand=None))

    assert sorted(found.dags) == ["shop", "tidy"]
    assert found.dags["tidy"].description == "Optimises and vacuums the tables of all pipelines"
    assert "shop.yaml beside it already holds the pipeline shop" in found.import_errors["shop.yml.py"]
    assert f"{folder / 'tidy.yaml'}:1:1: pipeline: tidy is the id of the DAG" in found.import_errors["tidy.yaml.py"]


def test_two_airflows_of_a_machine_keep_apart(bundle: Bundle, folder: Path) -> None:
    from airflow_ingest.bundles import PipelineDagBundle

    other = PipelineDagBundle(name="pipelines", path=str(folder.parent))

    assert len({bundle().path, bundle().path, bundle(by_hand=None).path, other.path}) == 3


def test_a_task_reads_its_own_file_alone(
    folder: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def parsing(dag_id: str, task_id: str) -> None:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)

    drop(folder, "bad.yaml", "pipeline: [broken\n")
    (folder / "mine.py").write_text("HERE = True\n")
    from airflow.dag_processing.dagbag import DagBag

    one = bundle()
    parsing("shop", "orders.ingest_bronze")
    found = DagBag(one.path / "shop.yaml.py", bundle_path=one.path)
    assert list(found.dags) == ["shop"]
    assert __import__("mine").HERE, "functions beside the pipeline files can be named in them"
    parsing("ingest_maintenance", "shop")
    found = DagBag(one.path / "ingest_shared.py", bundle_path=one.path)
    assert found.dags["ingest_maintenance"].task_ids == ["shop"]


def test_many_processes_at_once_leave_the_same_folder(folder: Path, bundle: Bundle) -> None:
    names = [f"p{n}.yaml" for n in range(30)]
    for name in names:
        drop(folder, name, small(Path(name).stem))

    def hold() -> None:
        for _ in range(20):
            bundle()

    fork = multiprocessing.get_context("fork")
    holders = [fork.Process(target=hold) for _ in range(4)]
    for holder in holders:
        holder.start()
    for name in names[::2]:
        (folder / name).unlink()
        time.sleep(0.01)
    for holder in holders:
        holder.join(60)

    assert [holder.exitcode for holder in holders] == [0] * 4
    left = sorted(file.name for file in bundle().path.iterdir())
    kept = [*names[1::2], "shop.yaml"]
    assert left == sorted([*kept, *(f"{name}.py" for name in kept), "ingest_shared.py"])
