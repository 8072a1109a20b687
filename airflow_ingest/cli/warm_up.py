"""Spark's client takes longer to import than all else before a run."""

import threading

from airflow_ingest.runtime import import_client

__all__ = ["import_spark_meanwhile"]


def import_spark_meanwhile() -> None:
    """Begin to import it in a thread of its own, beside what the caller does next."""
    threading.Thread(target=import_client, name="import-spark").start()
