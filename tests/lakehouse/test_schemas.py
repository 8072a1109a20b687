"""What two schemas differ in, by path, and which type takes the values of both."""

from __future__ import annotations

import pytest
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
    StringType,
    StructType,
    TimestampNTZType,
    TimestampType,
)

from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.schemas import both, differences, listed, merged
from airflow_ingest.lakehouse.tables import check_same_columns
from airflow_ingest.lakehouse.widening import changes, check_widens


def struct(**fields: DataType) -> StructType:
    found = StructType()
    for name, kind in fields.items():
        found.add(name, kind)
    return found


TABLE = struct(
    Id=IntegerType(),
    gone=StringType(),
    place=struct(city=StringType(), lat=FloatType()),
    items=ArrayType(struct(price=DecimalType(10, 2))),
    by=MapType(StringType(), IntegerType()),
)
ROWS = struct(
    id=LongType(),
    place=struct(lat=DoubleType(), city=StringType(), zip=StringType()),
    items=ArrayType(struct(price=DecimalType(12, 4), tax=StringType()), containsNull=False),
    by=MapType(StringType(), StringType()),
    new=StringType(),
)


def test_differences_are_named_by_their_path_and_not_by_their_case() -> None:
    assert listed(differences(TABLE, ROWS)) == (
        "added: place.zip (string), items.element.tax (string), new (string); missing: gone (string); "
        "changed: Id (int → bigint), place.lat (float → double), "
        "items.element.price (decimal(10,2) → decimal(12,4)), by.value (int → string)"
    )
    assert listed(differences(TABLE, TABLE)) == ""
    with pytest.raises(SchemaMismatch, match=r"t: `schema: enforce`.*place\.zip.*missing: gone.*place\.lat \(float"):
        check_same_columns("t", TABLE, ROWS)


def test_a_table_only_gets_wider() -> None:
    with pytest.raises(SchemaMismatch) as raised:
        check_widens("t", changes(TABLE, ROWS))
    assert "another type now than the table has: by.value (int → string). Silver is unchanged." in str(raised.value)
    with pytest.raises(SchemaMismatch, match=r"n \(bigint → int; bigint takes both\)"):
        check_widens("t", changes(struct(n=LongType()), struct(n=IntegerType())))


def test_merged_is_the_table_with_what_the_rows_bring() -> None:
    found = merged(TABLE, ROWS)
    assert found.simpleString() == (
        "struct<Id:bigint,gone:string,place:struct<city:string,lat:double,zip:string>,"
        "items:array<struct<price:decimal(12,4),tax:string>>,by:map<string,int>,new:string>"
    )
    assert merged(found, TABLE) == found


@pytest.mark.parametrize(
    ("table", "rows", "wider"),
    [
        (ByteType(), ShortType(), ShortType()),
        (LongType(), IntegerType(), LongType()),
        (IntegerType(), DoubleType(), DoubleType()),
        (FloatType(), IntegerType(), DoubleType()),
        (FloatType(), FloatType(), FloatType()),
        (LongType(), DoubleType(), None),
        (DoubleType(), LongType(), None),
        (DateType(), TimestampNTZType(), TimestampNTZType()),
        (TimestampNTZType(), DateType(), TimestampNTZType()),
        (DateType(), TimestampType(), None),
        (DecimalType(10, 2), DecimalType(8, 4), DecimalType(12, 4)),
        (DecimalType(38, 10), DecimalType(38, 18), None),
        (IntegerType(), DecimalType(5, 2), DecimalType(12, 2)),
        (ShortType(), DecimalType(10, 0), DecimalType(10, 0)),
        (LongType(), DecimalType(20, 0), DecimalType(20, 0)),
        (DecimalType(12, 2), DoubleType(), None),
        (StringType(), IntegerType(), None),
        (IntegerType(), NullType(), IntegerType()),
    ],
    ids=str,
)
def test_the_type_of_both(table: DataType, rows: DataType, wider: DataType | None) -> None:
    assert both(table, rows) == wider
