"""`wait` → the sensor before a table's load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import BaseSensorOperator

    from airflow_ingest.config import Pipeline, Wait


def sensor(pipeline: Pipeline, table: str, **arguments: Any) -> BaseSensorOperator:
    """The sensor that `wait` of the table asks for; `arguments` are those of any task."""
    wait = pipeline.tables[table].wait
    assert wait is not None
    arguments |= {"timeout": wait.timeout, "poke_interval": wait.poll, "on_timeout": wait.on_timeout}
    return _sensor(pipeline, table, wait, arguments)


def _sensor(pipeline: Pipeline, table: str, wait: Wait, arguments: dict[str, Any]) -> BaseSensorOperator:
    from airflow_ingest import sensors

    if wait.asset is not None:
        return sensors.AssetLoadedSensor(asset=wait.asset, **arguments)
    arguments["deferrable"] = wait.mode == "deferrable"
    if wait.pipeline is not None:
        return sensors.UpstreamRunSensor(external_dag_id=wait.pipeline, **arguments)
    if wait.sql is not None:
        return sensors.SqlConditionSensor(conn_id=wait.sql.conn_id, sql=wait.sql.query, **arguments)
    if wait.delta is not None:
        lake = pipeline.lake.rstrip("/")
        path = wait.delta if "/" in wait.delta else f"{lake}/{wait.delta.replace('.', '/', 1)}"
        return sensors.DeltaTableSensor(path=path, loaded=f"{lake}/bronze/{table}", **arguments)
    files = wait.files or str(pipeline.tables[table].source.files)
    return sensors.SourceFileSensor(files=files, marker=wait.marker, **arguments)
