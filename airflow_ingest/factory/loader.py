"""A folder of pipeline files → DAGs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import get_parsing_context

from airflow_ingest.config import ConfigError, IngestError, Mistake, load_pipeline
from airflow_ingest.factory.arguments import refuse
from airflow_ingest.factory.dag import build_dag
from airflow_ingest.factory.import_errors import report
from airflow_ingest.factory.trial import try_out
from airflow_ingest.graph import compile_graph

if TYPE_CHECKING:
    from airflow.sdk import DAG

SUFFIXES = (".yaml", ".yml")


def load_dags(folder: str | Path) -> dict[str, DAG]:
    """Build a DAG from every pipeline file (`*.yaml`, `*.yml`) in `folder`, and return them by id.

    `folder` may also be a file in it, so that a loader is `globals().update(load_dags(__file__))`. A file with mistakes
    becomes its own import error in Airflow and stops no other. When Airflow starts a task, only that task's file is
    read; a mistake in it is then raised as ConfigError, into the task's log.
    """
    folder = Path(folder)
    folder = folder.parent if folder.is_file() else folder
    wanted = get_parsing_context().dag_id
    if wanted is not None:
        return {file.stem: load_dag(file) for file in _named(folder, wanted)}
    dags: dict[str, DAG] = {}
    with _no_garbage_collection():
        for file in sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES):
            try:
                _refuse_twin(file, dags)
                dags[file.stem] = _load_and_try(file)
            except IngestError as error:
                report(file, str(error))
            except Exception as error:
                report(file, f"{file}: {type(error).__name__}: {error}")
    return dags


def load_dag(file: str | Path) -> DAG:
    """Build the DAG of one pipeline file. Raises ConfigError with all of its mistakes."""
    pipeline = load_pipeline(file)
    return build_dag(compile_graph(pipeline), pipeline, file=str(file))


def _load_and_try(file: Path) -> DAG:
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
    return dag


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


def _refuse_twin(file: Path, dags: dict[str, DAG]) -> None:
    if file.stem in dags:
        problem = f"{file.stem}.yaml beside it already holds the pipeline {file.stem}"
        raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, "Keep one of the two files.")])
