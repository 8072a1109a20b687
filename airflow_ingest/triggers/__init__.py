"""Triggers: what Airflow's triggerer waits for in the place of tasks."""

from airflow_ingest.triggers.condition import ConditionTrigger

__all__ = ["ConditionTrigger"]
