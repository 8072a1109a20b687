"""Airflow's way to Spark."""

from airflow_ingest.hooks.spark_delta import SparkDeltaHook

__all__ = ["SparkDeltaHook"]
