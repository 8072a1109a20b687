"""Listing files: on this machine by the file system, anywhere else by Spark."""

from __future__ import annotations

from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_ingest.lakehouse.errors import SourceNotFound
from airflow_ingest.lakehouse.log import is_missing_table
from airflow_ingest.lakehouse.model import SourceFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def list_files(spark: SparkSession, pattern: str) -> tuple[SourceFile, ...]:
    """The files that `pattern` names (a file, a folder or a glob), by path. Hidden and `_` files are left out.

    Raises SourceNotFound if there is none.
    """
    local = local_path(pattern)
    found = _local(local) if local is not None else _remote(spark, pattern)
    if not found:
        raise SourceNotFound(f"no file at {pattern!r}. Is it late, or is `source.files` wrong?")
    return tuple(sorted(found, key=lambda file: file.path))


def local_path(pattern: str) -> str | None:
    """`pattern` as a path on this machine, or None if it is a URL of another store."""
    if pattern.startswith("file:"):
        return unquote(urlsplit(pattern).path)
    return None if "://" in pattern else str(Path(pattern).expanduser().absolute())


def glob_escaped(path: str) -> str:
    """`path` such that Hadoop, which reads every path as a glob, takes it as it stands."""
    return "".join("\\" + char if char in "\\*?[]{}" else char for char in path)


def _local(pattern: str) -> list[SourceFile]:
    path = Path(pattern)
    if path.exists():
        paths = list(path.iterdir()) if path.is_dir() else [path]
    else:
        paths = [Path(found) for found in glob(pattern, recursive=True)]  # noqa: PTH207 (takes an absolute pattern)
    visible = [(found, found.stat()) for found in paths if found.is_file() and not found.name.startswith((".", "_"))]
    return [SourceFile(path=str(found), size=stat.st_size, modified=stat.st_mtime) for found, stat in visible]


def _remote(spark: SparkSession, pattern: str) -> list[SourceFile]:
    listing = spark.read.format("binaryFile").load(pattern).select("path", "length", "modificationTime")
    try:
        rows = listing.collect()
    except Exception as error:
        if is_missing_table(error):
            return []
        raise
    return [SourceFile(path=row[0], size=row[1], modified=row[2].timestamp()) for row in rows]
