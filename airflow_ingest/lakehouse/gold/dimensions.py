"""What a dimensional model adds to a gold table's query: columns of dimensions, and surrogate keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, DecimalType, DoubleType, FloatType, StringType, StructType

from airflow_ingest.config import Dimension, Gold
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.fitting import NESTED
from airflow_ingest.lakehouse.schemas import ddl
from airflow_ingest.lakehouse.silver.rows import DELETED_AT, SEQUENCE, VALID_FROM, VALID_TO
from airflow_ingest.lakehouse.sql import EXACT_JSON, column, literal, quote

_KEY, _TAKEN, _FROM, _TO = "__dimension_key", "__dimension_taken", "__dimension_from", "__dimension_to"


def with_dimensions(name: str, gold: Gold, rows: DataFrame, read: Callable[[str], DataFrame]) -> DataFrame:
    """`rows` of the gold table `name` with what its `dimensions` say of each; `read` gives a table of the lake.

    There are as many rows as before. Raises SchemaMismatch if a column is missing, there already, or a text on one side
    alone.
    """
    for new, dimension in gold.dimensions.items():
        where = f"gold.{name}, dimensions.{new}"
        members = read(dimension.table)
        by = dimension.by or dimension.key
        wanted = [dimension.key, dimension.take or new, *([VALID_FROM, VALID_TO] if dimension.at else [])]
        _check_there(where, wanted, members, dimension.table)
        _check_there(where, [by, *([dimension.at] if dimension.at else [])], rows, "the query's result")
        _check_free(where, [new], rows)
        _check_alike(where, by, rows.schema, dimension.key, members.schema, dimension.table)
        if dimension.at:
            _check_alike(where, dimension.at, rows.schema, VALID_FROM, members.schema, dimension.table)
        _check_unknown(where, dimension, _type_of(members.schema, dimension.take or new), rows.sparkSession)
        rows = _looked_up(rows, new, dimension, members)
    return rows


def with_surrogate_keys(name: str, gold: Gold, rows: DataFrame) -> DataFrame:
    """`rows` of the gold table `name` with its surrogate keys.

    Each is the MD5 of its columns as one JSON object, `{"0":…,"1":…}`, in which a NULL is left out, times are in UTC
    and equal numbers are the same: so a NULL is no text, values do not run into each other, and neither the session's
    time zone nor a wider type has a say. Raises SchemaMismatch if a column is missing, or there already.
    """
    for new, columns in gold.surrogate_key.items():
        _check_there(f"gold.{name}, surrogate_key.{new}", columns, rows, "the query's result")
        _check_free(f"gold.{name}, surrogate_key.{new}", [new], rows)
    hashed = {new: F.md5(_as_json(rows.schema, columns)) for new, columns in gold.surrogate_key.items()}
    return rows.withColumns(hashed) if hashed else rows


def _as_json(schema: StructType, columns: Iterable[str]) -> Column:
    values = (_plain(name, _type_of(schema, name)).alias(str(index)) for index, name in enumerate(columns))
    return F.to_json(F.struct(*values), EXACT_JSON)


def _plain(name: str, kind: DataType) -> Column:
    """A number as what equals it: 1.10 and 1.1, -0.0 and 0.0."""
    value = F.col(quote(name))
    if isinstance(kind, DecimalType):
        return value.cast("variant")
    return value + F.lit(0.0) if isinstance(kind, FloatType | DoubleType) else value


def _looked_up(rows: DataFrame, new: str, dimension: Dimension, members: DataFrame) -> DataFrame:
    """`rows` with the column `new`: of the member with the row's key, the value, NULL or not, and else `unknown`."""
    take = dimension.take or new
    found = _versions(members, dimension.key, take) if dimension.at else _members(members, dimension.key, take)
    matches = [f"{column('r', dimension.by or dimension.key)} = {_KEY}"]
    if dimension.at:
        at = column("r", dimension.at)
        matches += [f"{_FROM} <= {at}", f"({_TO} IS NULL OR {at} < {_TO})"]
    value = F.col(_TAKEN)
    if dimension.unknown is not None:
        unknown = F.lit(dimension.unknown).cast(found.schema[_TAKEN].dataType)
        value = F.when(F.col(_KEY).isNull(), unknown).otherwise(value)
    joined = rows.alias("r").join(found, F.expr(" AND ".join(matches)), "left")
    return joined.select("r.*", value.alias(new))


def _members(table: DataFrame, key: str, take: str) -> DataFrame:
    """One row for each key: the newest in silver, else the one with the greatest value; of versions, the valid ones."""
    known = {name.lower() for name in table.columns}
    for ended in (name for name in (DELETED_AT, VALID_TO) if name in known):
        table = table.where(F.col(ended).isNull())
    taken = F.col(quote(take))
    newest = F.max_by(taken, F.col(SEQUENCE) if SEQUENCE in known else taken)
    keyed = table.where(F.col(quote(key)).isNotNull())
    return keyed.groupBy(F.col(quote(key)).alias(_KEY)).agg(newest.alias(_TAKEN))


def _versions(table: DataFrame, key: str, take: str) -> DataFrame:
    """The versions of each key, cut off where the next one begins: at any time at most one is valid."""
    begins = F.col(VALID_FROM).alias(_FROM)
    last = F.max(F.struct(F.col(VALID_TO).alias(_TO), F.col(quote(take)).alias(_TAKEN))).alias("__last")
    versions = table.where(F.col(quote(key)).isNotNull()).groupBy(F.col(quote(key)).alias(_KEY), begins).agg(last)
    following = F.lead(_FROM).over(Window.partitionBy(_KEY).orderBy(_FROM))
    return versions.select(
        _KEY, _FROM, F.least(F.col(f"__last.{_TO}"), following).alias(_TO), F.col(f"__last.{_TAKEN}").alias(_TAKEN)
    )


def _check_there(where: str, wanted: Iterable[str], rows: DataFrame, what: str) -> None:
    known = {name.lower() for name in rows.columns}
    if absent := [name for name in dict.fromkeys(wanted) if name.lower() not in known]:
        raise SchemaMismatch(
            f"{where}: there is no column {', '.join(absent)} in {what}, which has {', '.join(rows.columns)}. Nothing "
            "was written. Correct the names, or load that table first."
        )


def _check_free(where: str, new: Iterable[str], rows: DataFrame) -> None:
    known = {name.lower() for name in rows.columns}
    if taken := [name for name in new if name.lower() in known]:
        raise SchemaMismatch(
            f"{where}: the query has a column {', '.join(taken)} already. Nothing was written. Choose another name."
        )


def _check_alike(where: str, by: str, ours: StructType, key: str, theirs: StructType, table: str) -> None:
    """A text is not looked for among numbers or times: '7' and '07' would be one key or two, depending on the side."""
    one, other = _type_of(ours, by), _type_of(theirs, key)
    if isinstance(one, StringType) != isinstance(other, StringType):
        raise SchemaMismatch(
            f"{where}: {by} of the query is {one.simpleString()}, and {key} of {table} is {other.simpleString()}. "
            "Nothing was written. Cast one of them in its SQL, or give both the same type in silver."
        )


def _check_unknown(where: str, dimension: Dimension, kind: DataType, spark: SparkSession) -> None:
    if dimension.unknown is None or isinstance(kind, StringType):
        return
    value = literal(str(dimension.unknown))
    fits = not isinstance(kind, NESTED) and spark.sql(f"SELECT try_cast({value} AS {ddl(kind)}) IS NOT NULL").first()
    if not fits or not fits[0]:
        raise SchemaMismatch(
            f"{where}: unknown is {dimension.unknown!r}, and the column is {kind.simpleString()}. Nothing was written. "
            "Write a value of that type, such as -1 for a number."
        )


def _type_of(schema: StructType, name: str) -> DataType:
    return next(field.dataType for field in schema.fields if field.name.lower() == name.lower())
