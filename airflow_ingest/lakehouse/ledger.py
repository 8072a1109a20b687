"""Which files an incremental table has loaded: `ops/ledger`, one row for every file as it was when it was loaded.

A file is known by path, size and modification time, never by its rows: an empty file does not come back, and one that
was rewritten is new. The ledger is written after bronze's commit, which names its files as well; what a crash kept out
of the ledger is entered from there before the next plan. So each plan reads the ledger's rows of one table and the few
commits since, and its price does not follow bronze's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from airflow_ingest.lakehouse.log import commits_after, history
from airflow_ingest.lakehouse.model import Batch, SourceFile
from airflow_ingest.lakehouse.ops import append_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.lake import Lake

_BOOK = "ledger"
_COLUMNS = (
    "pipeline string, table string, path string, size bigint, modified double, batch_id string, generation bigint, "
    "version bigint, run_id string"
)


def enter(spark: SparkSession, lake: Lake, loaded: Iterable[tuple[Batch, int]]) -> None:
    """Enters the files of batches that bronze holds, each with the version of bronze that it came with.

    A batch without files leaves a row too, without a path: it says how far bronze's log was read.
    """
    rows = [
        {
            "pipeline": lake.pipeline,
            "table": batch.table,
            **(file.model_dump() if file else {}),
            "batch_id": batch.id,
            "generation": batch.generation,
            "version": version,
            "run_id": batch.run_id,
        }
        for batch, version in loaded
        for file in (batch.files or (None,))
    ]
    if rows:
        append_rows(spark, lake.ops(_BOOK), _COLUMNS, rows, str(rows[-1]["run_id"]))


def repair(spark: SparkSession, lake: Lake, name: str) -> None:
    """Enters what bronze's log tells of batches that the ledger has not heard of."""
    read = -1
    rows = _rows(spark, lake, name)
    if rows is not None:
        read = rows.agg(F.max("version")).collect()[0][0]
        read = -1 if read is None else int(read)
    missing = [
        (Batch.from_dict(commit.metadata["batch"]), commit.version)
        for commit in reversed(commits_after(spark, lake.bronze(name), read))
        if commit.metadata.get("batch")
    ]
    enter(spark, lake, missing)


def unknown(spark: SparkSession, lake: Lake, name: str, listing: Sequence[SourceFile]) -> tuple[SourceFile, ...]:
    """Those files of `listing` that were never loaded as they are now, in its order."""
    rows = _rows(spark, lake, name)
    if rows is None or not listing:
        return tuple(listing)
    listed = F.from_json(F.lit(_as_json(listing)), "array<struct<path: string, size: bigint, modified: double>>")
    new = spark.range(1).select(F.inline(listed)).join(rows, ["path", "size", "modified"], "left_anti").select("path")
    paths = {row[0] for row in new.collect()}
    return tuple(file for file in listing if file.path in paths)


def own(
    spark: SparkSession, lake: Lake, batch_id: str, name: str, listing: Sequence[SourceFile]
) -> tuple[SourceFile, ...]:
    """Those files of `listing` that the batch has loaded before, as they are now."""
    rows = _rows(spark, lake, name)
    if rows is None:
        return ()
    mine = rows.where((F.col("batch_id") == F.lit(batch_id)) & F.col("path").isNotNull()).select("path").distinct()
    paths = {row[0] for row in mine.collect()}
    return tuple(file for file in listing if file.path in paths)


def _rows(spark: SparkSession, lake: Lake, name: str) -> DataFrame | None:
    if not history(spark, lake.ops(_BOOK), 1):
        return None
    ledger = spark.read.format("delta").load(lake.ops(_BOOK))
    return ledger.where((F.col("pipeline") == F.lit(lake.pipeline)) & (F.col("table") == F.lit(name)))


def _as_json(files: Sequence[SourceFile]) -> str:
    return json.dumps([file.model_dump() for file in files])
