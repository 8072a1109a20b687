"""How a column of each type is measured: aggregates that one pass over the rows answers, whatever their number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    MapType,
    NumericType,
    StringType,
    TimestampNTZType,
    TimestampType,
)

from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from pyspark.sql.types import StructField

CUT = 200
"""Characters of a value that are shown; of a longer one, one more is measured."""

_SHAPE = {
    "filled": "bigint",
    "nans": "bigint",
    "distinct": "bigint",
    "min": "string",
    "max": "string",
    "mean": "double",
    "median": "string",
    "min_length": "bigint",
    "mean_length": "double",
    "max_length": "bigint",
}
_VALUES = ("min", "max", "mean", "median")
_MIDDLE = "0.5, 1000"
"""The median's place is right to one row in a thousand."""


def measures(field: StructField, *, hidden: bool) -> str:
    """The aggregates of one column as SQL: a struct of the same shape for every type, NULL where the type has none.

    Of a `hidden` column those that show values are left out.
    """
    column, kind = quote(field.name), field.dataType
    asked = {"filled": f"count({column})", **_distinct(column, kind), **_values(column, kind), **_lengths(column, kind)}
    if hidden:
        asked = {name: sql for name, sql in asked.items() if name not in _VALUES}
    cells = (f"'{name}', cast({asked.get(name, 'NULL')} AS {shape})" for name, shape in _SHAPE.items())
    return f"named_struct({', '.join(cells)})"


def _distinct(column: str, kind: DataType) -> Mapping[str, str]:
    """A sketch of hashes is one small binary for each column; the registers of approx_count_distinct are 52 numbers."""
    if not isinstance(kind, StringType | NumericType | BooleanType | DateType | TimestampType | TimestampNTZType):
        return {}
    sketch = f"hll_sketch_agg(xxhash64({column})) FILTER (WHERE {column} IS NOT NULL)"
    return {"distinct": f"hll_sketch_estimate({sketch})"}


def _values(column: str, kind: DataType) -> Mapping[str, str]:
    if isinstance(kind, StringType):
        return {"min": f"left(min({column}), {CUT + 1})", "max": f"left(max({column}), {CUT + 1})"}
    if isinstance(kind, BooleanType):
        return {"min": f"min({column})", "max": f"max({column})"}
    if isinstance(kind, DateType | TimestampType | TimestampNTZType):
        return {"min": f"min({column})", "max": f"max({column})", "median": _median(column)}
    if isinstance(kind, FloatType | DoubleType):
        return {"nans": f"count_if(isnan({column}))", **_numbers(column, f" FILTER (WHERE NOT isnan({column}))")}
    if isinstance(kind, DecimalType):
        return {**_numbers(column), "median": _median(column, kind=kind.simpleString())}
    return _numbers(column) if isinstance(kind, NumericType) else {}


def _numbers(column: str, among: str = "") -> Mapping[str, str]:
    return {
        "min": f"min({column}){among}",
        "max": f"max({column}){among}",
        "mean": f"avg(double({column})){among}",
        "median": _median(column, among),
    }


def _median(column: str, among: str = "", *, kind: str = "") -> str:
    """It is reckoned in doubles, which may round it out of the column's range, and out of that of a decimal `kind`."""
    value = f"double({column})" if kind else column
    middle = f"percentile_approx({value}, {_MIDDLE}){among}"
    middle = f"try_cast({middle} AS {kind})" if kind else middle
    return f"greatest(min({column}){among}, least(max({column}){among}, {middle}))"


def _lengths(column: str, kind: DataType) -> Mapping[str, str]:
    if isinstance(kind, StringType | BinaryType):
        length = f"length({column})"
    elif isinstance(kind, ArrayType | MapType):
        length = f"CASE WHEN {column} IS NOT NULL THEN size({column}) END"
    else:
        return {}
    return {"min_length": f"min({length})", "mean_length": f"avg({length})", "max_length": f"max({length})"}
