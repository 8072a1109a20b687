"""Waiting for another pipeline's run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.sdk.exceptions import AirflowFailException

from airflow_ingest._interval import taken
from airflow_ingest.sensors._waiting import Patient

if TYPE_CHECKING:
    from airflow.sdk import Context


class UpstreamRunSensor(Patient, ExternalTaskSensor):
    """Wait until another DAG's run for the same data interval has succeeded.

    :param external_dag_id: the DAG
    :param deferrable: wait in the triggerer
    :param timeout, on_timeout, poke_interval, mode: as for `SourceFileSensor`
    """

    ui_color = "#e6f1f2"

    def __init__(self, *, external_dag_id: str, **kwargs: Any) -> None:
        super().__init__(external_dag_id=external_dag_id, **kwargs)

    def missing(self) -> str:
        """The run that has not come."""
        return (
            f"{self.external_dag_id} has still no successful run for this interval, after {self.timeout:.0f} s. Is its "
            "schedule another one, is it paused, or has it failed?"
        )

    def _get_dttm_filter(self, context: Context) -> Sequence[datetime]:
        """The logical dates of the runs: where the intervals of this one begin."""
        starts = [start for start, _ in taken(context).intervals]
        if not starts:
            raise AirflowFailException(
                f"{self.task_id} waits for a run of {self.external_dag_id} for its interval, and this run has none."
            )
        return starts
