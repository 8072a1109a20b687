"""The form that people start a run with: `params` of a pipeline's DAG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

from airflow_ingest._form import FROM, FULL, KEYS, TABLES, TO
from airflow_ingest.factory.arguments import refuse

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline, Table


def form(pipeline: Pipeline, own: dict[str, Any], file: str) -> dict[str, Any]:
    """The fields of the form, and behind them those that the pipeline adds of its `own` (`dag: {params: …}`).

    Raises ConfigError for one of them that has the name of ours.
    """
    if taken := [name for name in own if name in KEYS]:
        hint = "Choose another name."
        refuse(file, [(("dag", "params", name), f"{name} is in the form already", hint) for name in taken])
    fields = {
        FROM: _moment("Interval from", "Load this interval instead of the run's own; the start is included."),
        TO: _moment("Interval to", "The end of the interval, not included: of one day, the next one's midnight."),
        TABLES: Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": list(pipeline.tables)},
            examples=list(pipeline.tables),
            title="Tables",
            description="Only these; the others are skipped. Left empty: all. Gold follows what has changed.",
        ),
    }
    if any(_can_begin_anew(table) for table in pipeline.tables.values()):
        fields[FULL] = Param(
            False,
            type="boolean",
            title="Full refresh",
            description="Tables that are loaded by increments read their source from its beginning, and what differs "
            "goes into silver by its keys. Rows that the source no longer has stay.",
        )
    return {**fields, **own}


def _can_begin_anew(table: Table) -> bool:
    return table.extract.mode == "incremental" and bool(table.silver and table.silver.by_key and table.silver.keys)


def _moment(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], format="date-time", title=title, description=description)
