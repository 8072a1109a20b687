"""A folder of pipeline files → DAGs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_parsing_context

from airflow_ingest.config import ConfigError, IngestError, Mistake, load_pipeline
from airflow_ingest.factory.arguments import refuse
from airflow_ingest.factory.dag import build_dag
from airflow_ingest.factory.import_errors import report
from airflow_ingest.factory.maintenance import Maintenance, build_maintenance_dag, upkeep
from airflow_ingest.factory.trial import try_out
from airflow_ingest.graph import compile_graph

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_ingest.config import Pipeline

SUFFIXES = (".yaml", ".yml")
DEFAULT = Maintenance()


def load_dags(folder: str | Path, *, maintenance: Maintenance | None = DEFAULT) -> dict[str, DAG]:
    """Build a DAG from every pipeline file (`*.yaml`, `*.yml`) in `folder`, and return them by id.

    One more DAG, `ingest_maintenance`, looks after the tables of them all; `maintenance` says when and where, and None
    leaves it out.

    `folder` may also be a file in it, so that a loader is `globals().update(load_dags(__file__))`. A file with mistakes
    becomes its own import error in Airflow and stops no other. When Airflow starts a task, only that task's file is
    read; a mistake in it is then raised as ConfigError, into the task's log.
    """
    folder = Path(folder)
    folder = folder.parent if folder.is_file() else folder
    context = get_parsing_context()
    if maintenance is not None and context.dag_id == maintenance.dag_id and context.task_id is not None:
        files = _named(folder, context.task_id)
        own = [upkeep(load_pipeline(file)) for file in list(files)[:1]]
        return {maintenance.dag_id: build_maintenance_dag(own, maintenance)}
    if context.dag_id is not None and (maintenance is None or context.dag_id != maintenance.dag_id):
        return {file.stem: load_dag(file) for file in _named(folder, context.dag_id)}
    dags: dict[str, DAG] = {}
    upkeeps: list[dict[str, Any]] = []
    with _no_garbage_collection():
        for file in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
            with _reported(file):
                _refuse_twin(file, dags)
                _refuse_reserved(file, maintenance)
                dags[file.stem], pipeline = _load_and_try(file)
                upkeeps.append(upkeep(pipeline))
        if maintenance is not None and upkeeps:
            with _reported(folder / maintenance.dag_id):
                build = partial(build_maintenance_dag, upkeeps, maintenance)
                dag = build()
                try_out(dag, None, build)
                dags[maintenance.dag_id] = dag
    return dags


def load_dag(file: str | Path) -> DAG:
    """Build the DAG of one pipeline file. Raises ConfigError with all of its mistakes."""
    pipeline = load_pipeline(file)
    return build_dag(compile_graph(pipeline), pipeline, file=str(file))


@contextmanager
def _reported(file: Path) -> Iterator[None]:
    """Makes what goes wrong inside the import error of `file`."""
    try:
        yield
    except IngestError as error:
        report(file, str(error))
    except Exception as error:
        report(file, f"{file}: {type(error).__name__}: {error}")


def _load_and_try(file: Path) -> tuple[DAG, Pipeline]:
    pipeline = load_pipeline(file)
    build = partial(build_dag, compile_graph(pipeline), pipeline, file=str(file))
    try:
        dag = build()
        try_out(dag, pipeline, build)
    except Exception as error:
        blocks = [block for block in ("dag", "task") if getattr(pipeline, block)]
        if isinstance(error, IngestError) or not blocks:
            raise
        refuse(str(file), [((blocks[0],), f"Airflow refuses what is under {' or '.join(blocks)}: {error}", "")])
    return dag, pipeline


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Building many DAGs makes many objects that all stay: looking for garbage among them takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _named(folder: Path, stem: str) -> Iterator[Path]:
    yield from (file for suffix in SUFFIXES if (file := folder / f"{stem}{suffix}").is_file())


def _refuse_reserved(file: Path, maintenance: Maintenance | None) -> None:
    if maintenance is not None and file.stem == maintenance.dag_id:
        problem = f"{file.stem} is the id of the DAG that looks after all tables"
        hint = "Choose another name, or give load_dags a Maintenance with another dag_id."
        raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, hint)])


def _refuse_twin(file: Path, dags: dict[str, DAG]) -> None:
    if file.stem in dags:
        problem = f"{file.stem}.yaml beside it already holds the pipeline {file.stem}"
        raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, "Keep one of the two files.")])
