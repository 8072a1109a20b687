"""Which files an incremental table has loaded: `ops/ledger`, one row for every file as it was when it was loaded.

A file is known by path, size and modification time, never by its rows: an empty file does not come back, and one that
was rewritten is new. The ledger is written from bronze's log, whose commits name their files as well, after each load;
what a crash kept out of it is read from the log until it is there. So a plan reads the ledger's rows of one table and
the few commits since, and its price does not follow bronze's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from airflow_ingest.lakehouse.log import Commit, commits_after
from airflow_ingest.lakehouse.model import Batch, SourceFile
from airflow_ingest.lakehouse.ops import append_rows, frame, read_book

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.lake import Lake

_BOOK = "ledger"
_COLUMNS = (
    "pipeline string, table string, path string, size bigint, modified double, batch_id string, generation bigint, "
    "version bigint, restored bigint, run_id string"
)


@dataclass(frozen=True)
class Entry:
    """What a batch has loaded: the paths of its files, and the generation of its first load."""

    paths: frozenset[str]
    generation: int


class Ledger:
    """What one table has loaded, by the ledger and by the commits of bronze that it has not heard of."""

    def __init__(self, spark: SparkSession, lake: Lake, name: str) -> None:
        self._spark, self._lake, self._name = spark, lake, name
        rows = read_book(spark, lake, _BOOK, name)
        self._rows = None if rows is None else rows.drop("at")
        read = -1 if self._rows is None else self._rows.agg(F.coalesce(F.max("version"), F.lit(-1))).collect()[0][0]
        since = commits_after(spark, lake.bronze(name), int(read))
        self._missing = [row for commit in reversed(since) for row in _told(lake, name, commit)]

    def unknown(self, listing: Sequence[SourceFile]) -> tuple[SourceFile, ...]:
        """Those files of `listing` that were never loaded as they are now, in its order."""
        rows = self._in_effect()
        if rows is None or not listing:
            return tuple(listing)
        files = [file.model_dump() for file in listing]
        listed = frame(self._spark, "path string, size bigint, modified double", files)
        new = listed.join(rows, ["path", "size", "modified"], "left_anti").select("path").collect()
        paths = {row[0] for row in new}
        return tuple(file for file in listing if file.path in paths)

    def entry(self, batch_id: str) -> Entry | None:
        """What the batch has loaded before, if anything."""
        rows = self._in_effect()
        if rows is None:
            return None
        mine = rows.where(F.col("batch_id") == F.lit(batch_id)).groupBy("path").agg(F.min("generation")).collect()
        return Entry(frozenset(row[0] for row in mine), min(row[1] for row in mine)) if mine else None

    def catch_up(self) -> None:
        """Writes down what the log tells and the ledger has not heard of."""
        if self._missing:
            append_rows(self._spark, self._lake.ops(_BOOK), _COLUMNS, self._missing, str(self._missing[-1]["run_id"]))

    def _in_effect(self) -> DataFrame | None:
        """The rows of files whose commit no RESTORE has undone."""
        rows = self._rows
        if self._missing:
            missing = frame(self._spark, _COLUMNS, self._missing)
            rows = missing if rows is None else rows.unionByName(missing)
        if rows is None:
            return None
        restores = rows.where(F.col("restored").isNotNull()).select("restored", "version").distinct().collect()
        files = rows.where(F.col("path").isNotNull())
        return reduce(
            lambda left, undone: left.where(~((F.col("version") > undone[0]) & (F.col("version") < undone[1]))),
            restores,
            files,
        )


def _told(lake: Lake, name: str, commit: Commit) -> list[dict[str, Any]]:
    if commit.restored is not None:
        return [
            {
                "pipeline": lake.pipeline,
                "table": name,
                "version": commit.version,
                "restored": commit.restored,
                "run_id": "restore",
            }
        ]
    found = commit.metadata.get("batch")
    return _rows_of(lake, Batch.from_dict(found), commit.version) if found else []


def _rows_of(lake: Lake, batch: Batch, version: int) -> list[dict[str, Any]]:
    return [
        {
            "pipeline": lake.pipeline,
            "table": batch.table,
            **file.model_dump(),
            "batch_id": batch.id,
            "generation": batch.generation,
            "version": version,
            "run_id": batch.run_id,
        }
        for file in batch.files
    ]
