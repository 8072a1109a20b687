"""Where `run` gets its Spark."""

import os

from airflow_ingest.runtime import Connect, Embedded, Endpoint

__all__ = ["endpoint_of"]

_DEFAULT = "spark_default"


def endpoint_of(conn_id: str | None, remote: str | None) -> Endpoint:
    """The server at `remote`, or else what the pipeline's connection names.

    The default connection is looked up only where the environment defines it, and the embedded server stands in for it
    elsewhere: so that a run needs neither Airflow's database nor the seconds that importing Airflow takes.
    """
    if remote is not None:
        return Connect(remote)
    if conn_id is None or (conn_id == _DEFAULT and f"AIRFLOW_CONN_{_DEFAULT.upper()}" not in os.environ):
        return Embedded()
    from airflow_ingest.hooks import SparkDeltaHook

    return SparkDeltaHook(conn_id).get_endpoint()
