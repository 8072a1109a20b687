"""Values in another type, nested ones field by field and by name; and what of them has no place there.

A field of JSON is of whatever kind its writer sends: an object today, a text tomorrow. What the table's column cannot
take is kept in `_rescued_data`, a JSON object from the column's name to what came in it, and the field is NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    DataType,
    FractionalType,
    IntegralType,
    MapType,
    StringType,
    StructType,
    VariantType,
)

from airflow_ingest.lakehouse.schemas import ddl
from airflow_ingest.lakehouse.sql import literal, quote

RESCUED = "_rescued_data"
NESTED = (StructType, ArrayType, MapType)


@dataclass(frozen=True)
class Fit:
    """SQL for a value in another type, and for whether something of it is lost there (never NULL)."""

    value: str
    lost: str


def fitted(rows: DataFrame, kinds: Mapping[str, DataType], wanted: StructType, *, rescue: bool) -> DataFrame:
    """`rows` with their columns `kinds` in the types that `wanted` has for them; with `rescue`, and `_rescued_data`.

    A column that `wanted` has not is rescued, and left out.
    """
    theirs = {field.name.lower(): field.dataType for field in wanted.fields}
    lost: dict[str, str] = {}
    values: dict[str, Column] = {}
    for name, got in kinds.items():
        want = theirs.get(name.lower())
        if want is None:
            lost[name] = f"{quote(name)} IS NOT NULL"
        elif want != got:
            found = Fitting(exact=True).fit(quote(name), got, want)
            values[name], lost[name] = F.expr(found.value), found.lost
    left_out = [quote(name) for name in kinds if name.lower() not in theirs]
    if rescue:
        rows = rows.withColumn(RESCUED, _rescued(lost))
    return rows.withColumns(values).drop(*map(F.col, left_out)) if values or left_out else rows


@dataclass(frozen=True)
class Fitting:
    """How values are put into another type.

    `exact`: whatever cannot be had back from the new value is lost, and so is a field that the type has not. Without
    it only what no value can be made of is lost, as in a cast, and the fraction of what becomes a whole number.
    """

    exact: bool
    _depth: int = 0

    def fit(self, value: str, got: DataType, want: DataType) -> Fit:
        """The SQL `value`, which is of type `got`, as one of type `want`."""
        if got == want:
            return Fit(value, "false")
        if isinstance(want, StringType):
            return Fit(f"to_json({value})" if isinstance(got, NESTED) else f"cast({value} AS STRING)", "false")
        if isinstance(want, VariantType) and isinstance(got, (*NESTED, StringType)):
            there = f"try_parse_json({value if isinstance(got, StringType) else f'to_json({value})'})"
            return Fit(there, f"({value} IS NOT NULL AND {there} IS NULL)")
        if isinstance(got, StructType) and isinstance(want, StructType):
            return self._struct(value, got, want)
        if isinstance(got, ArrayType) and isinstance(want, ArrayType):
            return self._array(value, got.elementType, want.elementType)
        if isinstance(got, MapType) and isinstance(want, MapType):
            return self._map(value, got, want)
        if isinstance(got, StructType) and isinstance(want, MapType):
            return self._struct_as_map(value, got, want)
        if isinstance(got, StringType) and isinstance(want, NESTED):
            return self._in_text(value, want)
        if isinstance(got, NESTED) or isinstance(want, NESTED):
            return Fit(f"cast(NULL AS {ddl(want)})", f"({value} IS NOT NULL)")
        return self._scalar(value, got, want)

    def _scalar(self, value: str, got: DataType, want: DataType) -> Fit:
        there = f"try_cast({value} AS {ddl(want)})"
        if self.exact:
            return Fit(there, f"(NOT (cast({there} AS {ddl(got)}) <=> {value}))")
        if isinstance(got, FractionalType) and isinstance(want, IntegralType):
            return Fit(there, f"({value} IS NOT NULL AND NOT coalesce({there} = {value}, false))")
        return Fit(there, f"({value} IS NOT NULL AND {there} IS NULL)")

    def _struct(self, value: str, got: StructType, want: StructType) -> Fit:
        theirs = {field.name.lower(): field for field in got.fields}
        parts, lost = [], []
        for field in want.fields:
            other = theirs.pop(field.name.lower(), None)
            if other is None:
                inside = Fit(f"cast(NULL AS {ddl(field.dataType)})", "false")
            else:
                inside = self.fit(f"({value}).{quote(other.name)}", other.dataType, field.dataType)
            parts.append(f"{literal(field.name)}, {inside.value}")
            lost.append(inside.lost)
        if self.exact:
            lost += [f"({value}).{quote(unknown.name)} IS NOT NULL" for unknown in theirs.values()]
        return Fit(f"CASE WHEN {value} IS NOT NULL THEN named_struct({', '.join(parts)}) END", _any(lost))

    def _array(self, items: str, got: DataType, want: DataType) -> Fit:
        item, inner = f"__item{self._depth}", Fitting(self.exact, self._depth + 1)
        inside = inner.fit(item, got, want)
        lost = f"coalesce(exists({items}, {item} -> {inside.lost}), false)" if inside.lost != "false" else "false"
        return Fit(f"transform({items}, {item} -> {inside.value})", lost)

    def _map(self, entries: str, got: MapType, want: MapType) -> Fit:
        """A map is built of its entries, whose keys must not become the same, nor NULL."""
        if got.keyType == want.keyType:
            key, item = f"__key{self._depth}", f"__item{self._depth}"
            inside = Fitting(self.exact, self._depth + 1).fit(item, got.valueType, want.valueType)
            values = self._array(f"map_values({entries})", got.valueType, want.valueType)
            return Fit(f"transform_values({entries}, ({key}, {item}) -> {inside.value})", values.lost)
        keys = self._array(f"map_keys({entries})", got.keyType, want.keyType)
        values = self._array(f"map_values({entries})", got.valueType, want.valueType)
        return _map_of(keys.value, values.value, [keys.lost, values.lost])

    def _struct_as_map(self, value: str, got: StructType, want: MapType) -> Fit:
        """An object of JSON is read as a struct of all fields that any of them has, most of them NULL in each."""
        fields, names = [f"({value}).{quote(field.name)}" for field in got.fields], [field.name for field in got.fields]
        found = [self.fit(field, kind.dataType, want.valueType) for field, kind in zip(fields, got.fields, strict=True)]
        there = [
            f"CASE WHEN {field} IS NOT NULL THEN named_struct('k', {literal(name)}, 'v', {inside.value}) END"
            for field, name, inside in zip(fields, names, found, strict=True)
        ]
        entries = f"array_compact(array({', '.join(there)}))"
        keys = self._array(f"{entries}.k", StringType(), want.keyType)
        whole = _map_of(keys.value, f"{entries}.v", [keys.lost, *(inside.lost for inside in found)])
        return Fit(f"CASE WHEN {value} IS NOT NULL THEN {whole.value} END", whole.lost)

    def _in_text(self, text: str, want: DataType) -> Fit:
        """What JSON in `text` means; field by field, since a parser drops those that it is not told of."""
        if isinstance(want, ArrayType):
            is_kind, items = f"json_array_length({text}) IS NOT NULL", f"from_json({text}, 'array<string>')"
            inside = self._array(items, StringType(), want.elementType)
        elif isinstance(want, MapType):
            is_kind, entries = f"json_object_keys({text}) IS NOT NULL", f"from_json({text}, 'map<string, string>')"
            inside = self._map(entries, MapType(StringType(), StringType()), want)
        else:
            assert isinstance(want, StructType)
            is_kind = f"json_object_keys({text}) IS NOT NULL"
            inside = self._struct_in_text(text, want)
        return Fit(
            f"CASE WHEN {is_kind} THEN {inside.value} END",
            f"({text} IS NOT NULL AND (NOT ({is_kind}) OR coalesce({inside.lost}, false)))",
        )

    def _struct_in_text(self, text: str, want: StructType) -> Fit:
        fields = f"from_json({text}, 'map<string, string>')"
        inside = [
            (field, self.fit(f"({fields})[{literal(field.name)}]", StringType(), field.dataType))
            for field in want.fields
        ]
        lost = [found.lost for _, found in inside]
        if self.exact:
            known = ", ".join(literal(field.name) for field in want.fields)
            lost.append(f"size(array_except(json_object_keys({text}), array({known}))) > 0")
        parts = ", ".join(f"{literal(field.name)}, {found.value}" for field, found in inside)
        return Fit(f"named_struct({parts})", _any(lost))


def _map_of(keys: str, values: str, lost: list[str]) -> Fit:
    """The map of the arrays `keys` and `values`, of which something is `lost` already or where keys are the same."""
    clash = f"coalesce(size(array_distinct({keys})) < size({keys}), false)"
    nothing = _any([*lost, clash])
    return Fit(f"CASE WHEN NOT {nothing} THEN map_from_arrays({keys}, {values}) END", nothing)


def _any(conditions: list[str]) -> str:
    """Whether one of `conditions` holds."""
    said = [condition for condition in conditions if condition != "false"]
    return f"({' OR '.join(said)})" if said else "false"


def _rescued(lost: Mapping[str, str]) -> Column:
    """What came in the columns of which something is `lost`, as JSON; NULL where nothing is."""
    if not lost:
        return F.lit(None).cast("string")
    came = F.struct(*(F.when(F.expr(is_lost), F.col(quote(name))).alias(name) for name, is_lost in lost.items()))
    return F.when(F.expr(_any(list(lost.values()))), F.to_json(came))
