"""Sensors that wait for sources and for other pipelines. The names load on first use: some are slow to import."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_ingest.sensors.asset import AssetLoadedSensor
    from airflow_ingest.sensors.delta import DeltaTableSensor
    from airflow_ingest.sensors.source_file import SourceFileSensor
    from airflow_ingest.sensors.sql import SqlConditionSensor
    from airflow_ingest.sensors.upstream import UpstreamRunSensor

__all__ = ["AssetLoadedSensor", "DeltaTableSensor", "SourceFileSensor", "SqlConditionSensor", "UpstreamRunSensor"]

_HOME = {
    "AssetLoadedSensor": "asset",
    "DeltaTableSensor": "delta",
    "SourceFileSensor": "source_file",
    "SqlConditionSensor": "sql",
    "UpstreamRunSensor": "upstream",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
