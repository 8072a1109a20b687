"""Sensors that wait for sources."""

from airflow_ingest.sensors.source_file import SourceFileSensor

__all__ = ["SourceFileSensor"]
