"""Two schemas side by side: what one has and the other has not, and which type takes the values of both.

A field inside others is told by its path, in Delta's words: `items.element.price`, `prices.value`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyspark.sql.types import (
    ArrayType,
    ByteType,
    DataType,
    DateType,
    DecimalType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    MapType,
    NullType,
    ShortType,
    StructField,
    StructType,
    TimestampNTZType,
    VariantType,
)

from airflow_ingest.lakehouse.sql import quote

_WHOLE = (ByteType, ShortType, IntegerType, LongType)
_IN_DOUBLE = (ByteType, ShortType, IntegerType, FloatType, DoubleType)
_MOST_DIGITS = 38


@dataclass(frozen=True)
class Difference:
    """A field at `path` that a table and the rows for it do not share: None where one of them lacks it."""

    path: tuple[str, ...]
    table: DataType | None
    rows: DataType | None

    def __str__(self) -> str:
        types = [kind.simpleString() for kind in (self.table, self.rows) if kind is not None]
        return f"{'.'.join(self.path)} ({' → '.join(types)})"


def ddl(kind: DataType) -> str:
    """`kind` in SQL, names of fields quoted; everything inside it may be NULL."""
    if isinstance(kind, StructType):
        return f"STRUCT<{', '.join(f'{quote(field.name)}: {ddl(field.dataType)}' for field in kind.fields)}>"
    if isinstance(kind, ArrayType):
        return f"ARRAY<{ddl(kind.elementType)}>"
    if isinstance(kind, MapType):
        return f"MAP<{ddl(kind.keyType)}, {ddl(kind.valueType)}>"
    return kind.simpleString()


def field_names(kind: DataType) -> Iterator[str]:
    """The names of all fields in `kind`, those inside others too."""
    if isinstance(kind, StructType):
        for field in kind.fields:
            yield field.name
            yield from field_names(field.dataType)
    elif isinstance(kind, ArrayType):
        yield from field_names(kind.elementType)
    elif isinstance(kind, MapType):
        yield from field_names(kind.keyType)
        yield from field_names(kind.valueType)


def compares(kind: DataType) -> bool:
    """Whether Spark tells two values of `kind` apart: it does not where a map or a variant is inside."""
    if isinstance(kind, StructType):
        return all(compares(field.dataType) for field in kind.fields)
    return compares(kind.elementType) if isinstance(kind, ArrayType) else not isinstance(kind, MapType | VariantType)


def differences(table: DataType, rows: DataType, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Every field in which `rows` differs from `table`; names are not told apart by their case."""
    if isinstance(table, StructType) and isinstance(rows, StructType):
        theirs = {field.name.lower(): field for field in rows.fields}
        for field in table.fields:
            other = theirs.pop(field.name.lower(), None)
            if other is None:
                yield Difference((*path, field.name), field.dataType, None)
            else:
                yield from differences(field.dataType, other.dataType, (*path, field.name))
        for field in theirs.values():
            yield Difference((*path, field.name), None, field.dataType)
    elif isinstance(table, ArrayType) and isinstance(rows, ArrayType):
        yield from differences(table.elementType, rows.elementType, (*path, "element"))
    elif isinstance(table, MapType) and isinstance(rows, MapType):
        yield from differences(table.keyType, rows.keyType, (*path, "key"))
        yield from differences(table.valueType, rows.valueType, (*path, "value"))
    elif table != rows:
        yield Difference(path, table, rows)


def listed(found: Iterable[Difference]) -> str:
    """`found` in words: what was added, what is missing, what has changed."""
    kinds: dict[str, list[str]] = {"added": [], "missing": [], "changed": []}
    for one in found:
        kinds["added" if one.table is None else "missing" if one.rows is None else "changed"].append(str(one))
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names)


def both(table: DataType, rows: DataType) -> DataType | None:
    """The type that takes the values of both as they are, and that Delta can give a column of type `table`.

    None if there is none. What Delta can do: https://docs.delta.io/delta-type-widening/
    """
    if table == rows or isinstance(rows, NullType):
        return table
    if isinstance(table, _WHOLE) and isinstance(rows, _WHOLE):
        return max(table, rows, key=lambda kind: _WHOLE.index(type(kind)))
    if isinstance(table, _IN_DOUBLE) and isinstance(rows, _IN_DOUBLE):
        return DoubleType()
    if {type(table), type(rows)} == {DateType, TimestampNTZType}:
        return TimestampNTZType()
    digits = [_digits(kind) for kind in (table, rows)]
    if digits[0] is None or digits[1] is None:
        return None
    whole, scale = max(digits[0][0], digits[1][0]), max(digits[0][1], digits[1][1])
    return DecimalType(whole + scale, scale) if whole + scale <= _MOST_DIGITS else None


def merged(table: DataType, rows: DataType) -> DataType:
    """`table` as it is once it has taken `rows`: with the fields that it lacks, and `both` types where there is one."""
    if isinstance(table, StructType) and isinstance(rows, StructType):
        theirs = {field.name.lower(): field for field in rows.fields}
        fields = [
            StructField(field.name, merged(field.dataType, other.dataType) if other else field.dataType)
            for field in table.fields
            for other in (theirs.pop(field.name.lower(), None),)
        ]
        return StructType([*fields, *theirs.values()])
    if isinstance(table, ArrayType) and isinstance(rows, ArrayType):
        return ArrayType(merged(table.elementType, rows.elementType))
    if isinstance(table, MapType) and isinstance(rows, MapType):
        return MapType(merged(table.keyType, rows.keyType), merged(table.valueType, rows.valueType))
    return both(table, rows) or table


def _digits(kind: DataType) -> tuple[int, int] | None:
    """How many digits a number has before and after its point at most; the whole ones as Delta counts them."""
    if isinstance(kind, DecimalType):
        return kind.precision - kind.scale, kind.scale
    if isinstance(kind, _WHOLE):
        return (20 if isinstance(kind, LongType) else 10), 0
    return None
