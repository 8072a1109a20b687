"""Where rows come from: each source pins what a batch takes, and reads what was pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.errors import LakehouseError

if TYPE_CHECKING:
    from airflow_ingest.config import Table
    from airflow_ingest.lakehouse.lake import Lake
    from airflow_ingest.lakehouse.sources.base import TableSource
    from airflow_ingest.lakehouse.sources.database import Database


def source_of(lake: Lake, name: str, table: Table, *, files: str | None, database: Database | None) -> TableSource:
    """The source of `table`. Raises LakehouseError if what it needs was not given."""
    if table.source.jdbc is not None:
        from airflow_ingest.lakehouse.sources.jdbc import Rows

        if database is None:
            raise LakehouseError(f"tables.{name} reads a database, and none was given.")
        return Rows(table.source.jdbc, table.extract, database)
    if table.source.delta is not None:
        from airflow_ingest.lakehouse.sources.delta import Changes, Snapshot

        kind = Changes if table.extract.mode == "incremental" else Snapshot
        return kind(name, table.source.delta, table.extract, lake)
    from airflow_ingest.lakehouse.sources.files import Files

    if files is None:
        raise LakehouseError(f"tables.{name} reads files, and no path was given.")
    if table.extract.mode == "incremental":
        from airflow_ingest.lakehouse.sources.incremental import NewFiles

        return NewFiles(table.source, files, lake)
    return Files(table.source, files)
