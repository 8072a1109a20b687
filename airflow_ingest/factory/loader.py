"""A folder of pipeline files → DAGs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_parsing_context

from airflow_ingest.config import ConfigError, IngestError, Mistake, load_pipeline
from airflow_ingest.factory.arguments import refuse
from airflow_ingest.factory.by_hand import ByHand, Choices, build_held_dag, build_replay_dag
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
    context = get_parsing_context()
    reserved = _reserved(maintenance, by_hand)
    if context.dag_id is not None and (context.dag_id not in reserved or context.task_id is not None):
        return _for_task(folder, context.dag_id, context.task_id, maintenance, by_hand)
    dags: dict[str, DAG] = {}
    upkeeps: list[dict[str, Any]] = []
    choices, files = Choices(), _pipeline_files(folder)
    with _no_garbage_collection():
        for file in files:
            with _reported(file):
                _refuse_twin(file, dags)
                _refuse_reserved(file, reserved)
                dags[file.stem], pipeline = _load_and_try(file)
                upkeeps.append(upkeep(pipeline))
                choices.add(pipeline)
        if maintenance is not None and upkeeps:
            _add(dags, folder, partial(build_maintenance_dag, upkeeps, maintenance))
        known = {file.stem: str(file) for file in files if file.stem in dags}
        if by_hand is not None and choices.replayable:
            _add(dags, folder, partial(build_replay_dag, by_hand.replay, known, choices.replayable))
        if by_hand is not None and choices.holdable:
            _add(dags, folder, partial(build_held_dag, by_hand.held, known, choices.holdable))
    return dags


def _for_task(
    folder: Path, dag_id: str, task_id: str | None, maintenance: Maintenance | None, by_hand: ByHand | None
) -> dict[str, DAG]:
    """The DAG of a task that Airflow starts, from as few files as that takes."""
    if maintenance is not None and dag_id == maintenance.dag_id:
        own = [upkeep(load_pipeline(file)) for file in list(_named(folder, str(task_id)))[:1]]
        return {dag_id: build_maintenance_dag(own, maintenance)}
    files = {file.stem: str(file) for file in _pipeline_files(folder)}
    if by_hand is not None and dag_id == by_hand.replay:
        return {dag_id: build_replay_dag(dag_id, files, ())}
    if by_hand is not None and dag_id == by_hand.held:
        return {dag_id: build_held_dag(dag_id, files, ())}
    return {file.stem: load_dag(file) for file in _named(folder, dag_id)}


def _add(dags: dict[str, DAG], folder: Path, build: Callable[[], DAG]) -> None:
    """A DAG that serves all pipelines, beside theirs."""
    dag = build()
    with _reported(folder / dag.dag_id):
        try_out(dag, None, build)
        dags[dag.dag_id] = dag


def _pipeline_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)


def _reserved(maintenance: Maintenance | None, by_hand: ByHand | None) -> dict[str, str]:
    """The ids of the DAGs that serve all pipelines, and what each does."""
    found = {maintenance.dag_id: "looks after all tables"} if maintenance else {}
    if by_hand is not None:
        found |= {by_hand.replay: "replays dead letters", by_hand.held: "decides about held batches"}
    return found


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


def _refuse_reserved(file: Path, reserved: Mapping[str, str]) -> None:
    if file.stem in reserved:
        problem = f"{file.stem} is the id of the DAG that {reserved[file.stem]}"
        hint = "Choose another name, or give load_dags other ids for its own."
        raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, hint)])


def _refuse_twin(file: Path, dags: dict[str, DAG]) -> None:
    if file.stem in dags:
        problem = f"{file.stem}.yaml beside it already holds the pipeline {file.stem}"
        raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, "Keep one of the two files.")])
