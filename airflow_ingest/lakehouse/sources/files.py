"""Reading the files of a batch as they came: strings by header, malformed lines whole in `_corrupt_record`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from airflow_ingest.config import Source
from airflow_ingest.lakehouse.errors import SourceUnreadable
from airflow_ingest.lakehouse.model import Batch, RunInfo, SourceFile
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE, SOURCE_POSITION, TableSource
from airflow_ingest.lakehouse.sources.listing import glob_escaped, list_files
from airflow_ingest.lakehouse.spark_errors import brief, error_class
from airflow_ingest.lakehouse.sql import quote

UNREADABLE = "unreadable file: "
REPLACEMENT_CHARACTER = "\ufffd"

_CSV_DEFAULTS = {"header": True, "escape": '"'}  # RFC 4180 doubles a quote; Spark's own default is a backslash


@dataclass(frozen=True)
class Files(TableSource):
    """The files at `pattern`, which is rendered for the run."""

    source: Source
    pattern: str
    system = "files"

    def plan(self, spark: SparkSession, run: RunInfo, draft: Batch, bronze: str) -> Batch:
        """`draft` with the files that are there. Raises SourceNotFound."""
        return draft.model_copy(update={"files": list_files(spark, self.pattern)})

    def still_has(self, spark: SparkSession, batch: Batch) -> bool:
        """Whether the batch's files are there, none of them written again."""
        return set(batch.files) <= set(list_files(spark, self.pattern))

    def read(self, spark: SparkSession, batch: Batch) -> DataFrame:
        """The rows of the batch's files."""
        return read_files(spark, self.source, batch.files)

    def read_again(self, spark: SparkSession, batch: Batch, error: Exception) -> DataFrame | None:
        """File by file, if a file was the trouble."""
        return read_what_can_be_read(spark, self.source, batch.files) if is_read_failure(error) else None


def read_files(spark: SparkSession, source: Source, files: Sequence[SourceFile]) -> DataFrame:
    """The rows of `files`: the source's columns, `_corrupt_record`, `_source_file` and, of Parquet, `_source_position`.

    A file that breaks off is not known to until it is read: see `read_what_can_be_read`.
    """
    filled = [file.path for file in files if file.size > 0]
    reader = _reader(source)
    return reader(spark, source, filled) if filled else _no_rows(spark)


def read_what_can_be_read(spark: SparkSession, source: Source, files: Sequence[SourceFile]) -> DataFrame:
    """`read_files` for a batch in which a file cannot be read as the others are.

    Each file is read by its own header; of a file that breaks off (a truncated gzip) the rows before the break are
    taken, and one row in `_corrupt_record` says that the rest is missing.
    """
    parts = [_one_file(spark, source, file) for file in files if file.size > 0]
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts) if parts else _no_rows(spark)


def is_read_failure(error: Exception) -> bool:
    """Whether `error` came from the content of a file, so that reading file by file may get further."""
    return error_class(error).startswith(("FAILED_READ_FILE", "CANNOT_READ_FILE_FOOTER", "UNABLE_TO_INFER_SCHEMA"))


def _one_file(spark: SparkSession, source: Source, file: SourceFile) -> DataFrame:
    try:
        rows = _reader(source)(spark, source, [file.path])
        rows.write.format("noop").mode("overwrite").save()
    except SourceUnreadable:
        raise
    except Exception as error:
        if not is_read_failure(error):
            raise
        return _up_to_the_break(spark, source, file, error)
    return rows


def _up_to_the_break(spark: SparkSession, source: Source, file: SourceFile, error: Exception) -> DataFrame:
    lenient = source.model_copy(update={"options": {**source.options, "ignoreCorruptFiles": True}})
    note = _unreadable_row(spark, file.path, brief(error))
    try:
        rows = _reader(source)(spark, lenient, [file.path])
        rows.columns  # noqa: B018  (plans are lazy: this is where Spark reads the schema)
    except Exception as unreadable:
        if isinstance(unreadable, SourceUnreadable) or not is_read_failure(unreadable):
            raise
        return note
    return rows.unionByName(note, allowMissingColumns=True)


def _csv(spark: SparkSession, source: Source, paths: Sequence[str]) -> DataFrame:
    options: dict[str, Any] = {**_CSV_DEFAULTS, **source.options}
    escaped = [glob_escaped(path) for path in paths]
    header = spark.read.options(**options).csv(escaped[0]).schema
    if not header.names:
        return _no_rows(spark)
    _check_header(paths[0], header.names)
    rows = (
        spark.read.schema(header.add(CORRUPT_RECORD, "string"))
        .options(**options)
        .option("enforceSchema", False)
        .option("mode", "PERMISSIVE")
        .option("columnNameOfCorruptRecord", CORRUPT_RECORD)
        .csv(escaped)
    )
    undecodable = F.concat_ws(",", *(F.col(quote(name)) for name in header.names[:-1]))
    return _with_source_file(rows).withColumn(
        CORRUPT_RECORD,
        F.when(F.col(CORRUPT_RECORD).isNull() & undecodable.contains(REPLACEMENT_CHARACTER), undecodable).otherwise(
            F.col(CORRUPT_RECORD)
        ),
    )


def _json(spark: SparkSession, source: Source, paths: Sequence[str]) -> DataFrame:
    escaped = [glob_escaped(path) for path in paths]
    options = {"primitivesAsString": True, "columnNameOfCorruptRecord": CORRUPT_RECORD, **source.options}
    inferred = spark.read.options(**options).json(escaped).schema
    fields = [field for field in inferred.fields if field.name != CORRUPT_RECORD]
    if not fields:
        lines = _with_source_file(spark.read.text(escaped))
        return lines.select(F.col("value").alias(CORRUPT_RECORD), SOURCE_FILE)
    schema = StructType(fields).add(CORRUPT_RECORD, "string")
    return _with_source_file(spark.read.schema(schema).options(**options).json(escaped))


def _parquet(spark: SparkSession, source: Source, paths: Sequence[str]) -> DataFrame:
    options = {"mergeSchema": True, **source.options}
    rows = _with_source_file(spark.read.options(**options).parquet(*(glob_escaped(path) for path in paths)))
    return rows.withColumns({CORRUPT_RECORD: F.lit(None).cast("string"), SOURCE_POSITION: F.col("_metadata.row_index")})


_READERS: dict[str, Callable[[SparkSession, Source, Sequence[str]], DataFrame]] = {
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
}


def _reader(source: Source) -> Callable[[SparkSession, Source, Sequence[str]], DataFrame]:
    return _READERS[source.format or "csv"]


def _with_source_file(rows: DataFrame) -> DataFrame:
    path = F.col("_metadata.file_path")
    decoded = F.try_url_decode(F.replace(path, F.lit("+"), F.lit("%2B")))
    return rows.withColumn(SOURCE_FILE, F.when(F.contains(path, F.lit("%")), decoded).otherwise(path))


def _check_header(path: str, names: Sequence[str]) -> None:
    if any(REPLACEMENT_CHARACTER in name or "\0" in name for name in names):
        raise SourceUnreadable(
            f"{path}: the header is not in UTF-8 ({', '.join(names)}). "
            "Say which encoding it has, for example `options: {encoding: ISO-8859-1}`. Nothing was written."
        )


def _no_rows(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame([], f"{CORRUPT_RECORD} string, {SOURCE_FILE} string")


def _unreadable_row(spark: SparkSession, path: str, why: str) -> DataFrame:
    return spark.range(1).select(F.lit(f"{UNREADABLE}{why}").alias(CORRUPT_RECORD), F.lit(path).alias(SOURCE_FILE))
