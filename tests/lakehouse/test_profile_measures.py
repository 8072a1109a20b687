"""The SQL that measures a column."""

from __future__ import annotations

import re

import pytest
from pyspark.sql.types import DataType, DoubleType, LongType, StringType, StructField, TimestampType

from airflow_ingest.lakehouse.profile_measures import measures

SHOWS_VALUES = re.compile(r"\b(?:min|max|avg|percentile_approx)\((?!length\()")


@pytest.mark.parametrize("kind", [StringType(), LongType(), DoubleType(), TimestampType()], ids=str)
def test_no_value_of_a_hidden_column_is_asked_for(kind: DataType) -> None:
    salary = StructField("salary", kind)
    assert SHOWS_VALUES.search(measures(salary, hidden=False))
    assert not SHOWS_VALUES.search(measures(salary, hidden=True))


def test_every_type_gives_the_same_columns() -> None:
    """They are cells of one array, which has one type."""
    shapes = {
        tuple(re.findall(r"'(\w+)', cast\(.*? AS (bigint|string|double)\)(?=, '|\))", measures(field, hidden=hidden)))
        for field in (StructField("a", StringType()), StructField("b", LongType()))
        for hidden in (True, False)
    }
    assert len(shapes) == 1
    assert len(shapes.pop()) == 10


def test_a_name_is_quoted() -> None:
    assert "count(`a``; DROP TABLE x`)" in measures(StructField("a`; DROP TABLE x", LongType()), hidden=False)
