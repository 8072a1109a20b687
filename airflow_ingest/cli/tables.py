"""The names of tables that a user types."""

import difflib
from collections.abc import Callable

from airflow_ingest.cli.run import check_names
from airflow_ingest.config import IngestError, Pipeline, Table

__all__ = ["check_table", "recorded_name"]


def check_table(name: str, pipeline: Pipeline, fits: Callable[[Table], bool], what: str) -> None:
    """Raises IngestError, with the nearest right name, if `name` is no table of the pipeline that `fits`.

    `what` says what those that do have: "a silver".
    """
    known = [name for name, table in pipeline.tables.items() if fits(table)]
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Tables with {what}: {', '.join(known) or 'none'}."
    raise IngestError(f"{name}: the pipeline {pipeline.pipeline!r} has no such table with {what}. {hint}")


def recorded_name(name: str, pipeline: Pipeline) -> str:
    """What the books under `ops/` call a table or gold table. Raises IngestError for one that the pipeline has not."""
    check_names([name], pipeline)
    return f"gold.{name}" if name in pipeline.gold and name not in pipeline.tables else name
