"""A table's columns get wider, never narrower: from `int` to `bigint`, from `decimal(10,2)` to `decimal(12,4)`.

Delta does that to a table's metadata alone, and goes on reading its older files as they are:
https://docs.delta.io/delta-type-widening/

Nobody looks before a write whether it is needed: the write fails before it writes anything, the table is widened, and
the step is planned again on the table as it is then.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyspark.sql.types import TimestampNTZType

from airflow_ingest.lakehouse.errors import SchemaMismatch, TypesWidened
from airflow_ingest.lakehouse.log import is_missing_table
from airflow_ingest.lakehouse.schemas import Difference, both, differences
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

TYPE_WIDENING = "delta.enableTypeWidening"
COLUMN_MAPPING = "delta.columnMapping.mode"
_TYPE_ERRORS = (
    "CANNOT_UP_CAST_DATATYPE",
    "DATATYPE_MISMATCH",
    "DELTA_FAILED_TO_MERGE_FIELDS",
    "DELTA_MERGE_INCOMPATIBLE",
    "DELTA_UPDATE_SCHEMA_MISMATCH_EXPRESSION",
)

_FEATURES = re.compile(r"table feature\(s\): ([\w-]+(?:, [\w-]+)*)")

log = logging.getLogger(__name__)


def is_type_error(error: BaseException) -> bool:
    """Whether `error` says that a table cannot take a column of the rows for it, which Delta finds before it writes."""
    text = str(error)
    return any(name in text for name in _TYPE_ERRORS)


@contextmanager
def widening(spark: SparkSession, rows: Callable[[], StructType], *paths: str) -> Iterator[None]:
    """Where the block fails since a table of `paths` is narrower than `rows`, the table is widened.

    Raises TypesWidened if it was, and the block is to be done again; SchemaMismatch where that does not help.
    """
    try:
        yield
    except Exception as error:
        if enable_features(spark, paths[0], error):
            raise TypesWidened(f"{paths[0]}: can take a new column's type now; planning again") from error
        if not is_type_error(error):
            raise
        schema = rows()
        widened = [path for path in paths if widen(spark, path, schema)]
        if not widened:
            raise SchemaMismatch(
                f"{paths[0]}: a column of the batch has another type than the table's. {brief(error)} Silver is "
                "unchanged. Change the type under `silver.columns`, or load into a new table."
            ) from error
        raise TypesWidened(f"{', '.join(widened)}: columns got wider types; planning again") from error


def widen(spark: SparkSession, path: str, rows: StructType) -> bool:
    """Gives the columns of the table at `path`, if there is one, the types that they have in `rows`.

    Returns whether any was another. Raises SchemaMismatch that names the columns whose types are none that Delta can
    give them, and changes nothing.
    """
    try:
        found = changes(spark.read.format("delta").load(path).schema, rows)
    except Exception as error:
        if is_missing_table(error):
            return False
        raise
    check_widens(path, found)
    alter_types(spark, path, found)
    return bool(found)


def enable_features(spark: SparkSession, path: str, error: BaseException) -> bool:
    """Switches on what Delta says in `error` that the table at `path` needs for a new column, if it does.

    A new type may need a feature, and a name with a blank in it, inside a struct too, needs column mapping. A table
    that is created with such a column has it from the start.
    """
    if "DELTA_INVALID_CHARACTERS_IN_COLUMN_NAMES" in str(error):
        set_properties(spark, path, {COLUMN_MAPPING: "name"})
        return True
    found = _FEATURES.search(str(error))
    if "DELTA_FEATURES_REQUIRE_MANUAL_ENABLEMENT" not in str(error) or found is None:
        return False
    set_properties(spark, path, {f"delta.feature.{name}": "supported" for name in found.group(1).split(", ")})
    return True


def changes(table: StructType, rows: StructType) -> list[Difference]:
    """The fields that both have, and that have other types in `rows`."""
    return [one for one in differences(table, rows) if one.table is not None and one.rows is not None]


def check_widens(path: str, found: Sequence[Difference]) -> None:
    """Raises SchemaMismatch that names those of `found` whose type in the rows is not a wider one than the table's."""
    refused = [one for one in found if one.table and one.rows and both(one.table, one.rows) != one.rows]
    if refused:
        raise SchemaMismatch(
            f"{path}: columns of a table only get wider, and these have another type now than the table has: "
            f"{', '.join(map(_with_way_out, refused))}. Silver is unchanged. Change the types under `silver.columns`, "
            "or load into a new table."
        )


def alter_types(spark: SparkSession, path: str, found: Sequence[Difference]) -> None:
    """Gives each of `found` its type in the rows, all in one commit."""
    if not found:
        return
    types = [f"{'.'.join(map(quote, one.path))} TYPE {one.rows.simpleString()}" for one in found if one.rows]
    log.info("%s: wider types for %s", path, ", ".join(map(str, found)))
    ntz = any(isinstance(one.rows, TimestampNTZType) for one in found)
    set_properties(spark, path, {TYPE_WIDENING: "true", **({"delta.feature.timestampNtz": "supported"} if ntz else {})})
    spark.sql(f"ALTER TABLE {sql_table(path)} ALTER COLUMN {', '.join(types)}").collect()


def set_properties(spark: SparkSession, path: str, properties: Mapping[str, str]) -> None:
    """Gives the table at `path` the `properties`, in a commit of its own."""
    pairs = ", ".join(f"{literal(key)} = {literal(value)}" for key, value in properties.items())
    spark.sql(f"ALTER TABLE {sql_table(path)} SET TBLPROPERTIES ({pairs})").collect()


def _with_way_out(one: Difference) -> str:
    wider = both(one.table, one.rows) if one.table and one.rows else None
    return f"{str(one)[:-1]}; {wider.simpleString()} takes both)" if wider else str(one)
