"""Waiting for what a database says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.sql.sensors.sql import SqlSensor

from airflow_ingest.config import IngestError
from airflow_ingest.sensors._waiting import Asking

if TYPE_CHECKING:
    from airflow.sdk import Context


class SqlConditionSensor(Asking, SqlSensor):
    """Wait until the first value of a query's first row is there and not zero, NULL, empty or false.

    :param conn_id: the Airflow connection
    :param sql: the query, templated from the run's data interval
    :param timeout, on_timeout, poke_interval, mode, deferrable: as for `SourceFileSensor`
    """

    ui_color = "#e6f1f2"
    condition = "airflow_ingest.sensors.sql:holds"

    def __init__(self, *, conn_id: str, sql: str, **kwargs: Any) -> None:
        super().__init__(conn_id=conn_id, sql=sql, **kwargs)

    def question(self, context: Context) -> dict[str, Any]:
        """What the function is asked."""
        return {"conn_id": self.conn_id, "query": self.sql}

    def missing(self) -> str:
        """The condition that did not come true."""
        return f"On the connection {self.conn_id!r}, after {self.timeout:.0f} s, this still does not hold: {self.sql}"


def holds(conn_id: str, query: str) -> bool:
    """What Airflow's SqlSensor says of the query. Raises IngestError where the connection's provider is missing."""
    try:
        return bool(SqlSensor(task_id="condition", conn_id=conn_id, sql=query).poke({}))
    except Exception as error:
        if "Unknown hook type" not in str(error):
            raise
        raise IngestError(
            f"The connection {conn_id!r} is of a type whose Airflow provider is not installed ({error}). Install it, "
            "for example apache-airflow-providers-postgres, where tasks and the triggerer run."
        ) from None
