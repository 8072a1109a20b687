"""Spark's client takes longer to import than all else before a run."""

import threading

__all__ = ["import_spark_meanwhile"]


def import_spark_meanwhile() -> None:
    """Begin to import it in a thread of its own, beside what the caller does next."""
    threading.Thread(target=_import_spark, name="import-spark").start()


def _import_spark() -> None:
    import pyspark.sql.connect.session  # noqa: F401
