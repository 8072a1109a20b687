"""The hook that turns an Airflow connection into a Spark session with Delta Lake."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_ingest.runtime import (
    Connect,
    Embedded,
    Endpoint,
    RuntimeProblem,
    end_with_process,
    get_session,
    parse_duration,
    session,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection
    from pyspark.sql import SparkSession

_EXTRAS = ("conf", "drivers", "idle_timeout", "memory")


class SparkDeltaHook(BaseHook):
    """Gives a Spark session where the connection's type says.

    - no connection `spark_default`, or type `spark` with the host `local[*]`: the embedded server on this machine. The
      extra may set its `memory` ("4g"), `idle_timeout` ("30m"), `conf` (static Spark settings) and `drivers` (a list of
      the Maven coordinates of JDBC drivers; PostgreSQL's is there).
    - type `spark_connect`: that Spark Connect server.

    :param spark_conn_id: the connection; None means the embedded server, whatever connections there are
    :param conf: settings of each session, such as `{"spark.sql.shuffle.partitions": "8"}`
    """

    conn_name_attr = "spark_conn_id"
    default_conn_name = "spark_default"
    conn_type = "spark"
    hook_name = "Spark with Delta Lake"

    def __init__(self, spark_conn_id: str | None = default_conn_name, *, conf: Mapping[str, str] | None = None) -> None:
        super().__init__()
        self.spark_conn_id = spark_conn_id
        self.conf = dict(conf or {})

    def get_endpoint(self) -> Endpoint:
        """Where the sessions go. Raises `RuntimeProblem` if the connection cannot be used, with what to change."""
        if self.spark_conn_id is None:
            return Embedded()
        try:
            connection = self.get_connection(self.spark_conn_id)
        except AirflowNotFoundException:
            if self.spark_conn_id == self.default_conn_name:
                self.log.info("No connection %s: Spark runs on this machine.", self.spark_conn_id)
                return Embedded()
            raise RuntimeProblem(
                f"There is no Airflow connection {self.spark_conn_id!r}.",
                "Create it (type Spark Connect), or leave spark.conn_id out to run Spark on this machine.",
            ) from None
        if connection.conn_type == "spark_connect":
            return self._remote(connection.conn_id, connection.host)
        if connection.conn_type == "spark":
            return self._embedded(connection)
        raise RuntimeProblem(
            f"The Airflow connection {self.spark_conn_id!r} has the type {connection.conn_type!r}, which is not Spark.",
            "Use one of type spark_connect, or of type spark with the host local[*].",
        )

    def get_session(self) -> "SparkSession":
        """A fresh session; stop it when you are done (`session` does). Raises `RuntimeProblem`."""
        return get_session(self.get_endpoint(), self.conf)

    def get_conn(self) -> "SparkSession":
        """The same as `get_session`."""
        return self.get_session()

    @contextmanager
    def session(self) -> Iterator["SparkSession"]:
        """A fresh session for a `with` block of a task: see `airflow_ingest.runtime.end_with_process`."""
        spark = self.get_session()
        try:
            yield spark
        finally:
            end_with_process(spark)

    def test_connection(self) -> tuple[bool, str]:
        """Whether a statement runs there, and Spark's version or what went wrong: Airflow's Test button."""
        try:
            with session(self.get_endpoint(), self.conf) as spark:
                return True, f"Spark {spark.version} answers."
        except Exception as error:
            return False, str(error)

    def _remote(self, conn_id: str, host: str | None) -> Connect:
        from airflow.providers.apache.spark.hooks.spark_connect import SparkConnectHook

        if not host:
            raise RuntimeProblem(f"The Airflow connection {self.spark_conn_id!r} has no host.", "Give it one.")
        try:
            return Connect(SparkConnectHook(conn_id).get_connection_url())
        except ValueError as error:
            raise RuntimeProblem(
                f"The Airflow connection {self.spark_conn_id!r} makes no Spark Connect URL: {error}",
                "Its host is a bare host name or sc://host, its port a number.",
            ) from error

    def _embedded(self, connection: "Connection") -> Embedded:
        local = re.fullmatch(r"local(?:\[(\*|[1-9]\d*)\])?", connection.host or "local[*]")
        if local is None:
            raise RuntimeProblem(
                f"The Airflow connection {self.spark_conn_id!r} points at the Spark cluster {connection.host!r}: "
                "spark-submit to a cluster is not served yet in this version.",
                "Use a connection of type spark_connect (a Spark Connect server in front of that cluster), or give "
                "this one the host local[*] to run Spark on this machine.",
            )
        extra = connection.extra_dejson
        if unknown := sorted(set(extra) - set(_EXTRAS)):
            raise RuntimeProblem(
                f"The Airflow connection {self.spark_conn_id!r} has {', '.join(unknown)} in its extra, which Spark on "
                "this machine does not know.",
                f"It knows {', '.join(_EXTRAS)}.",
            )
        where = f"the extra of connection {self.spark_conn_id!r}, idle_timeout"
        settings: dict[str, Any] = {"cores": local[1] or "1"} if connection.host else {}
        if "memory" in extra:
            settings["memory"] = str(extra["memory"])
        if "idle_timeout" in extra:
            settings["idle_timeout"] = parse_duration(str(extra["idle_timeout"]), where)
        if "drivers" in extra:
            if not isinstance(extra["drivers"], list):
                raise RuntimeProblem(
                    f"The Airflow connection {self.spark_conn_id!r} has drivers in its extra that are no list.",
                    'Write them as {"drivers": ["group:name:version"]}.',
                )
            settings["drivers"] = tuple(map(str, extra["drivers"]))
        if "conf" in extra:
            if not isinstance(extra["conf"], dict):
                raise RuntimeProblem(
                    f"The Airflow connection {self.spark_conn_id!r} has a conf in its extra that is no object.",
                    'Write it as {"conf": {"spark.some.setting": "value"}}.',
                )
            settings["conf"] = {str(key): str(value) for key, value in extra["conf"].items()}
        return Embedded(**settings)
