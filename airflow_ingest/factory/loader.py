"""A folder of pipeline files → DAGs."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import get_parsing_context

from airflow_ingest.config import ConfigError, IngestError, Mistake, load_pipeline
from airflow_ingest.factory.alerts import check_notifiers
from airflow_ingest.factory.arguments import refuse
from airflow_ingest.factory.by_hand import ByHand
from airflow_ingest.factory.dag import build_dag
from airflow_ingest.factory.import_errors import report
from airflow_ingest.factory.maintenance import Maintenance
from airflow_ingest.factory.shared import Served, Shared
from airflow_ingest.factory.trial import try_out
from airflow_ingest.graph import compile_graph

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_ingest.config import Pipeline

SUFFIXES = (".yaml", ".yml")
DEFAULT = Maintenance()
FORMS = ByHand()


def load_dags(
    folder: str | Path, *, maintenance: Maintenance | None = DEFAULT, by_hand: ByHand | None = FORMS
) -> dict[str, DAG]:
    """Build a DAG from every pipeline file (`*.yaml`, `*.yml`) in `folder`, and return them by id.

    Three more serve them all: `ingest_maintenance` looks after their tables, as `maintenance` says, and the two of
    `by_hand` have forms for dead letters and for held batches; None leaves them out.

    `folder` may also be a file in it, so that a loader is `globals().update(load_dags(__file__))`. A file with mistakes
    becomes its own import error in Airflow and stops no other. When Airflow starts a task, only that task's file is
    read; a mistake in it is then raised as ConfigError, into the task's log.
    """
    folder = Path(folder)
    folder = folder.parent if folder.is_file() else folder
    context, shared = get_parsing_context(), Shared(maintenance, by_hand)
    files = pipeline_files(folder)
    if context.dag_id is not None and (context.dag_id not in shared.ids or context.task_id is not None):
        return _for_task(files, context.dag_id, context.task_id, shared)
    dags: dict[str, DAG] = {}
    served = Served(shared)
    with no_garbage_collection():
        for file in files:
            with reported(file):
                _refuse_twin(file, dags)
                shared.refuse(file)
                dags[file.stem], pipeline = load_and_try(file)
                served.add(pipeline, file)
        for build in served.builders():
            dag = build()
            with reported(folder / dag.dag_id):
                try_out(dag, None, build)
                dags[dag.dag_id] = dag
    return dags


def _for_task(files: Iterable[Path], dag_id: str, task_id: str | None, shared: Shared) -> dict[str, DAG]:
    """The DAG of a task that Airflow starts, from as few files as that takes."""
    if dag_id not in shared.ids:
        return {file.stem: load_dag(file) for file in files if file.stem == dag_id}
    dag = shared.for_task(dag_id, task_id, {file.stem: file for file in files})
    return {dag_id: dag} if dag else {}


def pipeline_files(folder: Path) -> list[Path]:
    """The pipeline files in `folder`, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def load_dag(file: str | Path) -> DAG:
    """Build the DAG of one pipeline file. Raises ConfigError with all of its mistakes."""
    pipeline = load_pipeline(file)
    return build_dag(compile_graph(pipeline), pipeline, file=str(file))


@contextmanager
def reported(file: Path) -> Iterator[None]:
    """Makes what goes wrong inside the import error of `file`."""
    try:
        yield
    except IngestError as error:
        report(file, str(error))
    except Exception as error:
        report(file, f"{file}: {type(error).__name__}: {error}")


def load_and_try(file: Path) -> tuple[DAG, Pipeline]:
    """The DAG of a file, which Airflow takes in, and its pipeline. Raises ConfigError with all mistakes."""
    pipeline = load_pipeline(file)
    check_notifiers(pipeline, str(file))
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
def no_garbage_collection() -> Iterator[None]:
    """Building many DAGs makes many objects that all stay: looking for garbage among them takes a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _refuse_twin(file: Path, dags: dict[str, DAG]) -> None:
    if file.stem in dags:
        problem = f"{file.stem}.yaml beside it already holds the pipeline {file.stem}"
        raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, "Keep one of the two files.")])
