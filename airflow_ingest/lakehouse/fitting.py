"""Rows as a table can take them: each value in the table's type, and what does not fit kept as text beside it.

A field of JSON is of whatever kind its writer sends: an object today, a text tomorrow. What the table's column cannot
take is kept in `_rescued_data`, a JSON object from the column's name to what came in it, and the field is NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StringType, StructType

from airflow_ingest.lakehouse.sql import quote

RESCUED = "_rescued_data"


@dataclass(frozen=True)
class Fit:
    """A value in another type, and whether something of it is lost there (never NULL)."""

    value: Column
    lost: Column


def fitted(rows: DataFrame, kinds: Mapping[str, DataType], wanted: StructType, *, rescue: bool) -> DataFrame:
    """`rows` with their columns `kinds` in the types that `wanted` has for them; with `rescue`, and `_rescued_data`.

    A column that `wanted` has not is rescued, and left out.
    """
    theirs = {field.name.lower(): field.dataType for field in wanted.fields}
    lost: dict[str, Column] = {}
    values: dict[str, Column] = {}
    for name, got in kinds.items():
        value, want = F.col(quote(name)), theirs.get(name.lower())
        if want is None:
            lost[name] = value.isNotNull()
        elif want != got:
            found = fit(value, got, want)
            values[name], lost[name] = found.value, found.lost
    left_out = [quote(name) for name in kinds if name.lower() not in theirs]
    if rescue:
        rows = rows.withColumn(RESCUED, _rescued(lost))
    return rows.withColumns(values).drop(*map(F.col, left_out)) if values or left_out else rows


def fit(value: Column, got: DataType, want: DataType) -> Fit:
    """`value`, which is of type `got`, as one of type `want`."""
    if got == want:
        return Fit(value, F.lit(False))
    if isinstance(got, StructType) and isinstance(want, StructType):
        return _struct(value, got, want)
    if isinstance(got, ArrayType) and isinstance(want, ArrayType):
        return _array(value, got.elementType, want.elementType)
    if isinstance(got, MapType) and isinstance(want, MapType):
        return Fit(value.cast(want), F.lit(False))
    if isinstance(want, StringType):
        nested = isinstance(got, StructType | ArrayType | MapType)
        return Fit(F.to_json(value) if nested else value.cast(want), F.lit(False))
    if isinstance(got, StringType) and isinstance(want, StructType):
        return _struct_in_text(value, want)
    if isinstance(got, StringType) and isinstance(want, ArrayType):
        items, is_list = F.from_json(value, "array<string>"), F.json_array_length(value).isNotNull()
        inside = _array(items, StringType(), want.elementType)
        return Fit(F.when(is_list, inside.value), value.isNotNull() & (~is_list | inside.lost))
    if isinstance(got, StructType | ArrayType | MapType) or isinstance(want, StructType | ArrayType | MapType):
        return Fit(F.lit(None).cast(want), value.isNotNull())
    there = value.try_cast(want)
    return Fit(there, ~there.cast(got).eqNullSafe(value))


def _struct(value: Column, got: StructType, want: StructType) -> Fit:
    theirs = {field.name.lower(): field for field in got.fields}
    parts, lost = [], F.lit(False)
    for field in want.fields:
        other = theirs.pop(field.name.lower(), None)
        if other is None:
            parts.append(F.lit(None).cast(field.dataType).alias(field.name))
        else:
            inside = fit(value.getField(other.name), other.dataType, field.dataType)
            parts.append(inside.value.alias(field.name))
            lost = lost | inside.lost
    for unknown in theirs.values():
        lost = lost | value.getField(unknown.name).isNotNull()
    return Fit(F.when(value.isNotNull(), F.struct(*parts)), lost)


def _array(items: Column, got: DataType, want: DataType) -> Fit:
    lost = F.exists(items, lambda item: fit(item, got, want).lost)
    return Fit(F.transform(items, lambda item: fit(item, got, want).value), F.coalesce(lost, F.lit(False)))


def _struct_in_text(text: Column, want: StructType) -> Fit:
    """The struct that a JSON object in `text` is, field by field: a parser drops those that it is not told of."""
    is_object, fields = F.json_object_keys(text).isNotNull(), F.from_json(text, "map<string, string>")
    inside = [(field, fit(fields.getItem(field.name), StringType(), field.dataType)) for field in want.fields]
    known = F.array(*(F.lit(field.name) for field in want.fields))
    lost = F.size(F.array_except(F.json_object_keys(text), known)) > F.lit(0)
    for _, found in inside:
        lost = lost | found.lost
    value = F.struct(*(found.value.alias(field.name) for field, found in inside))
    return Fit(F.when(is_object, value), text.isNotNull() & (~is_object | F.coalesce(lost, F.lit(False))))


def _rescued(lost: Mapping[str, Column]) -> Column:
    """What came in the columns of which something is `lost`, as JSON; NULL where nothing is."""
    if not lost:
        return F.lit(None).cast("string")
    came = F.struct(*(F.when(is_lost, F.col(quote(name))).alias(name) for name, is_lost in lost.items()))
    any_lost = F.lit(False)
    for is_lost in lost.values():
        any_lost = any_lost | is_lost
    return F.when(any_lost, F.to_json(came))
