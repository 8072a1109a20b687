"""`sla` → Airflow's deadlines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert

from airflow_ingest.config import format_duration
from airflow_ingest.notifications.interval_end import IntervalEnd
from airflow_ingest.notifications.sla import tell_of_miss

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline
    from airflow_ingest.config.table import Sla


def deadlines(pipeline: Pipeline) -> list[DeadlineAlert]:
    """A deadline for the pipeline's runs, and one for each table that has an `sla` of its own.

    Airflow knows deadlines of runs alone: that of a table looks whether the table was there.
    """
    return [
        DeadlineAlert(
            reference=IntervalEnd(sla.within),
            interval=sla.within,
            callback=AsyncCallback(
                tell_of_miss,
                {"to": " ".join(pipeline.late_mail(sla)), "within": format_duration(sla.within), "table": table},
            ),
            name=f"sla of {table}" if table else "sla",
        )
        for table, sla in _slas(pipeline)
    ]


def _slas(pipeline: Pipeline) -> Iterator[tuple[str, Sla]]:
    if pipeline.sla is not None:
        yield "", pipeline.sla
    for name, table in pipeline.tables.items():
        if table.sla is not None:
            yield name, table.sla
