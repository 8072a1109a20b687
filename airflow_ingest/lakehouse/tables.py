"""Opening and creating Delta tables by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from airflow_ingest.lakehouse.errors import LakehouseError, SchemaMismatch, TableOwnedByOther
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import is_missing_table
from airflow_ingest.lakehouse.schemas import ddl, differences, field_names, listed
from airflow_ingest.lakehouse.spark_errors import error_class
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.widening import COLUMN_MAPPING, set_properties

OWNER = "ingest.pipeline"
FEED = "delta.enableChangeDataFeed"
CHANGE_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")
"""What Delta's change feed says of a row. A table with a change feed has no columns of these names."""

_IN_THE_WAY = ("TABLE_OR_VIEW_ALREADY_EXISTS", "DELTA_CREATE_TABLE_WITH_NON_EMPTY_LOCATION")
_NOT_IN_PARQUET_NAMES = frozenset(" ,;{}()\n\t=")


def properties(spark: SparkSession, path: str) -> Mapping[str, str] | None:
    """The properties of the table at `path`, or None if there is no table."""
    try:
        return {row[0]: row[1] for row in spark.sql(f"SHOW TBLPROPERTIES {sql_table(path)}").collect()}
    except Exception as error:
        if is_missing_table(error):
            return None
        raise


def own_properties(spark: SparkSession, lake: Lake, path: str) -> Mapping[str, str] | None:
    """`properties` of a table that this pipeline is to write. Raises TableOwnedByOther if another one writes it."""
    found = properties(spark, path)
    owner = (found or {}).get(OWNER, lake.pipeline)
    if owner != lake.pipeline:
        raise TableOwnedByOther(
            f"{path}: the pipeline {owner!r} writes this table, so {lake.pipeline!r} must not. "
            "Give one of them another `lake` or another table name."
        )
    return found


def change_feed(columns: Sequence[str]) -> Mapping[str, str]:
    """The property that lets later loads see what changed in a table.

    Delta's change feed cannot write a column with a backtick in its name; such a table goes without.
    """
    return {} if any("`" in name for name in columns) else {FEED: "true"}


def record_changes(spark: SparkSession, path: str, *, of_ours: bool = False) -> None:
    """Has the table at `path` record from now on what its commits change, if it is there and does not yet.

    With `of_ours`, only if a pipeline of ours writes it. What a MERGE changes is then written twice, so nobody asks for
    it in vain.
    """
    found = properties(spark, path)
    if found is None or found.get(FEED) == "true" or (of_ours and OWNER not in found):
        return
    wanted = change_feed(spark.read.format("delta").load(path).columns)
    if wanted:
        set_properties(spark, path, wanted)


def ensure(
    spark: SparkSession,
    lake: Lake,
    path: str,
    rows: DataFrame,
    *,
    columns: Sequence[str] | None = None,
    partition_by: Sequence[str] = (),
    table_properties: Mapping[str, str] | None = None,
) -> bool:
    """Makes sure that a table of this pipeline stands at `path` and can take the columns of `rows`.

    `columns` are their names, as far as they come from data, where the caller knows them: to ask Spark costs a round
    trip and an analysis of the plan.
    Returns whether the table had to be created. Raises TableOwnedByOther if another pipeline writes it.
    """
    found = own_properties(spark, lake, path)
    if found is None:
        return _create(spark, lake, path, rows, partition_by, table_properties or {})
    names = rows.columns if columns is None else columns
    if _needs_column_mapping(names) and found.get(COLUMN_MAPPING, "none") == "none":
        set_properties(spark, path, {COLUMN_MAPPING: "name"})
    return False


def _create(
    spark: SparkSession,
    lake: Lake,
    path: str,
    rows: DataFrame,
    partition_by: Sequence[str],
    table_properties: Mapping[str, str],
) -> bool:
    wanted = {OWNER: lake.pipeline, **table_properties}
    if _needs_column_mapping(field_names(rows.schema)):
        wanted[COLUMN_MAPPING] = "name"
    partitions = f"PARTITIONED BY ({', '.join(map(quote, partition_by))}) " if partition_by else ""
    pairs = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in wanted.items())
    columns = _columns(rows.schema)
    try:
        spark.sql(f"CREATE TABLE {sql_table(path)} ({columns}) USING delta {partitions}TBLPROPERTIES ({pairs})")
    except Exception as error:
        if properties(spark, path) is not None:
            return False  # a twin was quicker
        if error_class(error) not in _IN_THE_WAY:
            raise
        return _create_over_an_empty_log(spark, path, columns, partition_by, wanted)
    return True


def _create_over_an_empty_log(
    spark: SparkSession, path: str, columns: str, partition_by: Sequence[str], wanted: Mapping[str, str]
) -> bool:
    """Creates a table where somebody has begun to: a twin at this moment, or a run that was killed at that.

    On a file system with folders the log's folder is there before its first commit, and CREATE TABLE takes any folder
    that is not empty for a table. A write of no rows does not, and of two first commits Delta takes one.
    """
    nothing = spark.createDataFrame([], columns).write.format("delta").mode("error").partitionBy(*partition_by)
    try:
        _check_holds_no_files(spark, path)
        nothing.options(**{key: value for key, value in wanted.items() if key.startswith("delta.")}).save(path)
    except Exception:
        if properties(spark, path) is None:
            raise
        return False  # a twin was quicker, and may have written rows by now
    set_properties(spark, path, wanted)
    return True


def _check_holds_no_files(spark: SparkSession, path: str) -> None:
    """Raises LakehouseError if files of data lie at `path`, where there is no table: VACUUM would delete them."""
    files = spark.read.format("binaryFile").option("recursiveFileLookup", True).load(path).select("path").limit(1)
    if found := files.collect():
        raise LakehouseError(
            f"{path}: this is to become a table, and holds files of something else, such as {found[0][0]}. "
            "Move them away, or give the pipeline another `lake` or the table another name."
        )


def _columns(schema: StructType) -> str:
    """`schema` as DDL in which everything may be NULL: what a batch happens not to hold is no promise of the table."""
    return ", ".join(f"{quote(field.name)} {ddl(field.dataType)}" for field in schema.fields)


def check_same_columns(where: str, table: StructType, rows: StructType) -> None:
    """Raises SchemaMismatch with every added, missing and changed field if `rows` differs from `table`."""
    if found := listed(differences(table, rows)):
        raise SchemaMismatch(
            f"{where}: `schema: enforce`, and the batch has other columns than the table ({found}). "
            "Nothing was written. Correct the source, or say `schema: evolve`."
        )


def _needs_column_mapping(names: Iterable[str]) -> bool:
    return any(not _NOT_IN_PARQUET_NAMES.isdisjoint(name) for name in names)
