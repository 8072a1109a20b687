"""TPC-H's `lineitem` from CSV into bronze: by the project, and by hand with the same columns or without any."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from benchmarks.measuring import Comparison, in_turn
from benchmarks.merge import MEMORY, TUNED
from benchmarks.orders import run_of
from benchmarks.tpch import generate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TABLE = "lineitem"


def compare(rounds: int = 3, scale: float = 0.25) -> Iterator[Comparison]:
    """The promise about a bulk load, on one warm server."""
    from airflow_ingest.runtime import Embedded, session, start_server, stop_server

    with TemporaryDirectory() as root:
        os.environ["AIRFLOW_INGEST_HOME"] = f"{root}/runtime"
        file = generate(Path(root, "landing"), TABLE, scale)
        start_server(Embedded(memory=MEMORY))
        try:
            with session(Embedded(memory=MEMORY), TUNED) as spark:
                loads = Loads(spark, Path(root, "lake"), file)
                contenders = {"ours": loads.ours, "by hand": loads.by_hand, "bare": loads.bare}
                in_turn(contenders, rounds=1)
                seconds = in_turn(contenders, rounds=rounds)
        finally:
            stop_server()
    what = f"{TABLE} SF{scale:g} into bronze"
    yield Comparison(f"{what} / the same columns by hand", seconds["ours"], seconds["by hand"], 1.15)
    yield Comparison(f"{what} / no column of its own", seconds["ours"], seconds["bare"])


class Loads:
    """Each load goes into a new table, which is removed before the next."""

    def __init__(self, spark: SparkSession, root: Path, file: Path) -> None:
        self._spark = spark
        self._root = root
        self._file = str(file)

    def ours(self, _: int) -> None:
        """The project's step."""
        from airflow_ingest.config import Table
        from airflow_ingest.lakehouse import Lake, ingest_bronze

        lake = Lake(self._empty(), "bench")
        table = Table.model_validate({"source": {"files": self._file, "format": "csv"}})
        ingest_bronze(self._spark, lake, TABLE, table, run_of(1), files=self._file)

    def by_hand(self, _: int) -> None:
        """Bronze's columns, by someone who knows the file."""
        source = self._spark.read.option("header", True).csv(self._file).schema
        columns = list(source.names)
        rows = (
            self._spark.read.schema(source.add("_corrupt_record", "string"))
            .options(header=True, escape='"', enforceSchema=False, columnNameOfCorruptRecord="_corrupt_record")
            .csv(self._file)
        )
        self._write(
            rows.select(
                F.lit("batch").alias("_batch_id"),
                *columns,
                "_corrupt_record",
                F.lit("run").alias("_run_id"),
                F.lit("2026-01-01").cast("date").alias("_processing_date"),
                F.current_timestamp().alias("_bronze_ingestion_timestamp"),
                F.lit("files").alias("_source_system"),
                F.col("_metadata.file_path").alias("_source_file"),
                F.sha2(F.to_json(F.struct(*sorted(columns), "_corrupt_record")), 256).alias("_record_hash"),
                F.current_timestamp().alias("_batch_order"),
            ),
            "_processing_date",
        )

    def bare(self, _: int) -> None:
        """The file's columns alone."""
        self._write(self._spark.read.csv(self._file, header=True))

    def _write(self, rows: DataFrame, *partitions: str) -> None:
        rows.write.format("delta").partitionBy(*partitions).save(f"{self._empty()}/{TABLE}")

    def _empty(self) -> str:
        shutil.rmtree(self._root, ignore_errors=True)
        return str(self._root)
