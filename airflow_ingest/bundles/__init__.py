"""DAG bundles: folders that Airflow takes DAGs from."""

from airflow_ingest.bundles.pipeline import PipelineDagBundle

__all__ = ["PipelineDagBundle"]
