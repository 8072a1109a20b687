"""What a step reads and writes: told by the configuration and by the step's own result. Spark is asked nothing for it.

Datasets are named as OpenLineage names them: https://openlineage.io/docs/spec/naming
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_ingest.graph.columns import Columns

if TYPE_CHECKING:
    from airflow_ingest.config import Rule, Source
    from airflow_ingest.lakehouse import Database, GateOutcome, Lake, LoadResult
    from airflow_ingest.lakehouse.model import RuleResult

_OBJECT_STORES = {"s3a": "s3", "s3n": "s3", **{name: name for name in ("s3", "gs", "abfs", "abfss", "wasb", "wasbs")}}
_DATABASES = {"postgresql": "postgres", "sqlserver": "mssql"}


@dataclass(frozen=True)
class Name:
    """What OpenLineage calls a dataset."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Dataset:
    """A dataset that a step reads or writes, with what the step knows of it.

    - `rows`, `size` (bytes) and `files`: how much of it was read, or written
    - `judged`: how the rules came out on it; `severity` and columns of a rule are looked up in `rules` by its name
    """

    name: Name
    columns: Columns = field(default_factory=Columns)
    rows: int | None = None
    size: int | None = None
    files: int | None = None
    version: int | None = None
    judged: Sequence[RuleResult] = ()
    rules: Sequence[Rule] = ()


@dataclass(frozen=True)
class Lineage:
    """What a step reads and writes.

    - `lake`: where the tables are that `Columns` speak of; `source` stands there for what is no table of the lake
    - `tests`: how the rules came out that judged the outcome before it was published; `sql`: the query that made it
    """

    lake: Lake
    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = ()
    source: Mapping[str, Name] = field(default_factory=dict)
    tests: Sequence[RuleResult] = ()
    sql: str = ""


def name_of(where: str) -> Name:
    """The name of a file, a folder or a table at a path or a URL."""
    if where.startswith("file:") or "://" not in where:
        path = unquote(urlsplit(where).path) if where.startswith("file:") else where
        return Name("file", str(Path(path).expanduser().absolute()))
    parts = urlsplit(where)
    login, at, host = parts.netloc.rpartition("@")
    authority = host if ":" in login else f"{login}{at}{host}"
    path = parts.path.rstrip("/")
    if parts.scheme in _OBJECT_STORES:
        return Name(f"{_OBJECT_STORES[parts.scheme]}://{authority}", path.lstrip("/") or "/")
    return Name(f"{parts.scheme}://{authority}", path or "/")


def table_name(lake: Lake, table: str) -> Name:
    """The name of a table of the lake, `silver.orders`."""
    layer, _, name = table.partition(".")
    return name_of(lake.path(layer, name))


def files_name(files: str) -> Name:
    """The name of a source's files: the file or, where the path has dates or wildcards, the folder that has them all.

    So it is one dataset, whatever day a run loads.
    """
    fixed = list(takewhile(lambda part: "{" not in part and not glob.has_magic(part), files.split("/")))
    return name_of("/".join(fixed) or "/")


def source_names(lake: Lake, source: Source, files: str | None, database: Database | None) -> list[Name]:
    """The datasets that a table's source is; `database` is that of `source.jdbc`."""
    if source.delta is not None:
        return [name_of(source.delta.path) if source.delta.path else table_name(lake, str(source.delta.table))]
    if source.jdbc is not None:
        tables = [source.jdbc.table] if source.jdbc.table else _tables_in(str(source.jdbc.query))
        return [_database_table(database, table) for table in tables] if database else []
    return [files_name(files)] if files else []


def _database_table(database: Database, table: str) -> Name:
    kind, _, rest = database.address.removeprefix("jdbc:").partition(":")
    parts = urlsplit(rest)
    named = table.split(".")
    if kind == "postgresql" and len(named) == 1:
        named = [database.properties.get("currentSchema", "public"), *named]
    path = [part for part in (parts.path.strip("/"), *named) if part]
    return Name(f"{_DATABASES.get(kind, kind)}://{parts.netloc}", ".".join(path))


def _tables_in(query: str) -> list[str]:
    from airflow_ingest.config.sql import parse_query

    return list(parse_query(query).tables)


def loaded(lake: Lake, table: str, columns: Columns, loads: Sequence[LoadResult]) -> Dataset:
    """A table of the lake with what `loads` did to it; with nothing if there were none."""
    wrote = [load for load in loads if load.status == "loaded"]
    sizes = [load.bytes_written for load in wrote if load.bytes_written is not None]
    return Dataset(
        table_name(lake, table),
        columns,
        rows=sum(load.rows.written for load in wrote) if loads else None,
        size=sum(sizes) if sizes else None,
        version=wrote[-1].version if wrote else None,
    )


def gated(lake: Lake, table: str, outcomes: Sequence[GateOutcome], rules: Sequence[Rule]) -> Dataset:
    """The bronze of a `table` with what the gate found in its batches."""
    return Dataset(
        table_name(lake, f"bronze.{table}"),
        rows=sum(outcome.rows.read for outcome in outcomes) if outcomes else None,
        judged=[rule for outcome in outcomes for rule in outcome.rules],
        rules=rules,
    )
