"""A Spark session for one task."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_ingest.runtime.embedded import start_server
from airflow_ingest.runtime.endpoints import Connect, Embedded, Endpoint
from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.launch import SESSION_DEFAULTS

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_CONNECT_TIMEOUT = 10.0
_TWICE_TOLD = ("pyspark.sql.connect.logging", "DataFrameQueryContextLogger", "SQLQueryContextLogger")
"""Loggers that print a screen of stack frames for every error that Spark raises as well, those we expect included."""

_LOCAL_RETRIES = 4
"""About four seconds; Spark's own default waits ten minutes for a server on this machine that has died."""
_importing = threading.Lock()
_left_open: list[object] = []
"""Clients whose channels would be closed if nobody held them."""


def get_session(endpoint: Endpoint | None = None, conf: Mapping[str, str] | None = None) -> "SparkSession":
    """A fresh Spark Connect session: UTC and ANSI unless `conf` says otherwise, nothing left over from another task.

    Starts the embedded server if that is where it goes and none runs. `.stop()` ends the session and never the server.
    Raises `RuntimeProblem` if no server can be had, or if it refuses a setting.
    """
    for logger in _TWICE_TOLD:
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    endpoint = endpoint or Embedded()
    if isinstance(endpoint, Embedded):
        spark, settings = _local_session(start_server(endpoint).url), dict(conf or {})
    else:
        spark, settings = _remote_session(endpoint), {**SESSION_DEFAULTS, **(conf or {})}
    try:
        for key, value in settings.items():
            _set(spark, key, value)
    except BaseException:
        spark.stop()
        raise
    return spark


def import_client() -> None:
    """Imports Spark's client, in one thread at a time: side by side they could see halves of its modules."""
    with _importing:
        import pyspark.sql.connect.session  # noqa: F401


@contextmanager
def session(endpoint: Endpoint | None = None, conf: Mapping[str, str] | None = None) -> Iterator["SparkSession"]:
    """`get_session` for a `with` block: the session ends with it."""
    spark = get_session(endpoint, conf)
    try:
        yield spark
    finally:
        spark.stop()


def end_with_process(spark: "SparkSession") -> None:
    """Ends the session on its server, and leaves its channel open until this process ends, as a task's soon does.

    A task has been seen to wait for ever in gRPC's `Channel.close` (grpcio 1.85.1), after all of its work was done.
    """
    client = spark.client

    def leave_open() -> None:
        client._closed = True

    client.close = leave_open  # type: ignore[method-assign]
    spark.stop()
    _left_open.append(client)


def _local_session(url: str) -> "SparkSession":
    """As `builder.remote(url).create()`, but past any HTTP proxy: gRPC would send even localhost through it."""
    os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
    import_client()
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.client.retries import DefaultPolicy
    from pyspark.sql.connect.session import SparkSession

    channel = DefaultChannelBuilder(url, channelOptions=[("grpc.enable_http_proxy", 0)])
    spark = SparkSession.builder.channelBuilder(channel).create()
    spark.client.set_retry_policies([DefaultPolicy(max_retries=_LOCAL_RETRIES)])
    return spark  # type: ignore[return-value]


def _remote_session(endpoint: Connect) -> "SparkSession":
    import_client()
    from pyspark.sql import SparkSession

    try:
        socket.create_connection((endpoint.host, endpoint.port), timeout=_CONNECT_TIMEOUT).close()
    except OSError as error:
        raise RuntimeProblem(
            f"No Spark answers at {endpoint.address}: {error}.",
            "Check the connection's host and port, and that the Spark Connect server there can be reached from here.",
        ) from error
    return SparkSession.builder.remote(endpoint.url).create()


def _set(spark: "SparkSession", key: str, value: str) -> None:
    from pyspark.errors import PySparkException

    try:
        spark.conf.set(key, value)
    except PySparkException as error:
        if "CANNOT_MODIFY" in (error.getCondition() or ""):
            raise RuntimeProblem(
                f"{key} is fixed when Spark starts, so one session cannot set it.",
                "Take it out of spark.conf. It belongs to the server; to the embedded one the connection's extra gives "
                'it: {"conf": {…}}.',
            ) from error
        raise RuntimeProblem(f"Spark refuses {key}: {error.getMessage() or error}", "Correct it.") from error
