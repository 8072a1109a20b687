"""From a pipeline file to an Airflow DAG."""

from airflow_ingest.factory.by_hand import ByHand
from airflow_ingest.factory.dag import build_dag
from airflow_ingest.factory.loader import load_dags
from airflow_ingest.factory.maintenance import Maintenance

__all__ = ["ByHand", "Maintenance", "build_dag", "load_dags"]
