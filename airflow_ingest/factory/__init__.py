"""From a pipeline file to an Airflow DAG."""

from airflow_ingest.factory.dag import build_dag
from airflow_ingest.factory.loader import load_dags

__all__ = ["build_dag", "load_dags"]
