"""What the files call that `PipelineDagBundle` writes."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import get_parsing_context

from airflow_ingest.config import ConfigError, Mistake, load_pipeline, parse_duration
from airflow_ingest.factory import ByHand, Maintenance
from airflow_ingest.factory.loader import load_and_try, load_dag, no_garbage_collection, pipeline_files, reported
from airflow_ingest.factory.shared import Served, Shared
from airflow_ingest.factory.trial import try_out

if TYPE_CHECKING:
    from airflow.sdk import DAG


def pipeline_dags(stub: str, source: str, options: Mapping[str, Any]) -> dict[str, DAG]:
    """The DAG of the pipeline file `source`, made from the copy of it beside `stub`.

    What is wrong with it becomes the import error of `stub`; for a task it is raised.
    """
    copy, file = Path(stub).with_suffix(""), Path(source)
    _importable(file.parent)
    with _named(copy, file):
        if get_parsing_context().dag_id is not None:
            return {file.stem: load_dag(copy)}
    with reported(Path(stub)), _named(copy, file), no_garbage_collection():
        _shared(options).refuse(copy)
        if file.suffix == ".yml" and copy.with_suffix(".yaml").exists():
            problem = f"{file.stem}.yaml beside it already holds the pipeline {file.stem}"
            raise ConfigError([Mistake(str(copy), 1, 1, "pipeline", problem, "Keep one of the two files.")])
        return {file.stem: load_and_try(copy)[0]}
    return {}


def shared_dags(stub: str, source: str, options: Mapping[str, Any]) -> dict[str, DAG]:
    """The DAGs that serve all pipelines of the folder `source`, from the copies beside `stub`.

    A file with mistakes is left out: they are its own import error.
    """
    _importable(Path(source))
    files, shared, context = pipeline_files(Path(stub).parent), _shared(options), get_parsing_context()
    if context.dag_id is not None and context.task_id is not None:
        dag = shared.for_task(context.dag_id, context.task_id, {file.stem: file for file in files})
        return {context.dag_id: dag} if dag else {}
    served, dags = Served(shared), {}
    with no_garbage_collection():
        for file in files:
            with suppress(ConfigError):
                shared.refuse(file)
                if file.stem not in served.files:
                    served.add(load_pipeline(file), file)
        for build in served.builders():
            dag = build()
            with reported(Path(stub)):
                try_out(dag, None, build)
                dags[dag.dag_id] = dag
    return dags


@contextmanager
def _named(copy: Path, file: Path) -> Iterator[None]:
    """Mistakes in the `copy` are told as those of the `file` that people write."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            replace(mistake, file=str(file)) if mistake.file == str(copy) else mistake for mistake in error.mistakes
        ) from None


def _shared(options: Mapping[str, Any]) -> Shared:
    maintenance, by_hand = options["maintenance"], options["by_hand"]
    if maintenance and "retain" in maintenance:
        maintenance = {**maintenance, "retain": parse_duration(maintenance["retain"])}
    return Shared(
        None if maintenance is None else Maintenance(**maintenance), None if by_hand is None else ByHand(**by_hand)
    )


def _importable(folder: Path) -> None:
    """Functions that lie beside the pipeline files can be named in them, as beside a loader."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
