"""A real Airflow on this machine, for tests and demonstrations of pipelines."""

from airflow_ingest.testing.local_airflow import LocalAirflow, LocalAirflowError
from airflow_ingest.testing.rest import AirflowApi, AirflowApiError, BrokenFile, DagRun, TaskRun
from airflow_ingest.testing.settings import PortTakenError

__all__ = [
    "AirflowApi",
    "AirflowApiError",
    "BrokenFile",
    "DagRun",
    "LocalAirflow",
    "LocalAirflowError",
    "PortTakenError",
    "TaskRun",
]
