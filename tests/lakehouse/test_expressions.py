"""Which columns an expression reads, and where it can lose a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_ingest.lakehouse.expressions import losses, source_columns
from airflow_ingest.lakehouse.silver.judged import judging

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("make_date(int(year), int(month), 1)", {"year", "month"}),
        ("`a b`.c + upper(`x.y`)", {"a b", "x.y"}),
        ("transform(items, i -> i + offset)", {"items", "offset"}),
        ("current_date()", set[str]()),
        ("CASE WHEN a THEN b ELSE 'c' END", {"a", "b"}),
        ("filter(a, a -> a > b)", {"a", "b"}),
        ("transform(a, X -> x + 1)", {"a"}),
    ],
    ids=["functions", "quoted and nested", "lambda", "none", "case", "a column and a parameter", "a parameter's case"],
)
def test_source_columns(expression: str, columns: set[str]) -> None:
    assert source_columns(expression) == columns


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        pytest.param("int(x)", ["CAST(x AS INT)"], id="cast"),
        pytest.param("a + int(b)", ["a + CAST(b AS INT)", "CAST(b AS INT)"], id="nested"),
        pytest.param("make_date(y, 1, 1)", ["MAKE_DATE(y, 1, 1)"], id="date from parts"),
        pytest.param("to_date(x, 'yyyy')", ["TO_DATE(x, 'yyyy')"], id="date from text"),
        pytest.param("a > 100", ["a > 100"], id="comparison"),
        pytest.param("year(day)", ["YEAR(day)"], id="function of a date"),
        pytest.param("coalesce(int(x), 0)", [], id="coalesce"),
        pytest.param("coalesce(a, int(x))", ["CAST(x AS INT)"], id="the last that coalesce has"),
        pytest.param("nullif(int(x), 0)", ["CAST(x AS INT)"], id="nullif"),
        pytest.param("transform(xs, x -> int(x))", ["CAST(x AS INT)"], id="items"),
        pytest.param("aggregate(xs, 0, (a, x) -> a + int(x))", ["CAST(x AS INT)"], id="a fold"),
        pytest.param("bigint(x)", ["BIGINT(x)"], id="cast by a type's name"),
        pytest.param("try_cast(x AS int)", [], id="try_cast"),
        pytest.param("try_divide(a, b)", [], id="try function"),
        pytest.param("upper(trim(x))", [], id="total"),
        pytest.param("60 * 60 * 24", [], id="numbers alone"),
    ],
)
def test_losses_name_the_part_that_can_have_no_value(expression: str, parts: list[str]) -> None:
    assert [loss.sql for loss in losses(expression)] == parts


def test_a_loss_is_operands_without_a_value() -> None:
    assert losses("int(x)")[0].condition == "((x) IS NOT NULL AND (try_cast(x AS INT)) IS NULL)"


@pytest.mark.parametrize(
    ("expression", "lost", "kept"),
    [
        pytest.param("int(x)", ["a", "1e400"], ["1", None], id="cast"),
        pytest.param("x > 100", ["a"], ["1", "101", None], id="comparison"),
        pytest.param("x BETWEEN 1 AND 2", ["a"], ["1", "3", None], id="between"),
        pytest.param("x IN (1, 2)", [], ["a", "1", "3", None], id="in, which compares texts"),
        pytest.param("-x", ["a"], ["1", None], id="minus"),
        pytest.param("bigint(x)", ["a"], ["1", None], id="bigint"),
        pytest.param("decimal(x)", ["a"], ["1", None], id="decimal"),
        pytest.param("to_timestamp_ntz(x)", ["a"], ["2024-02-29", None], id="to_timestamp_ntz"),
        pytest.param("nvl2(nullif(x, 'none'), int(x), 0)", ["a"], ["none", "1", None], id="nvl2"),
        pytest.param("decode(x, 'none', 0, int(x))", ["a"], ["none", "1", None], id="decode"),
        pytest.param("transform(split(x, ';'), (y, i) -> int(y) + i)", ["1;a"], ["1;2", None], id="items by number"),
        pytest.param("aggregate(split(x, ';'), 0, (a, y) -> a + int(y))", ["1;a"], ["1;2", None], id="a fold"),
        pytest.param("transform_values(map(1, x), (k, v) -> int(v))", ["a"], ["1", None], id="values of a map"),
        pytest.param("zip_with(split(x, ';'), array(1), (y, z) -> int(y))", ["a;1"], ["1;2", None], id="zip_with"),
        pytest.param("5 % x", ["a", "0"], ["3", None], id="remainder"),
        pytest.param("round(x, 1)", ["a"], ["1.25", None], id="round"),
        pytest.param("year(x)", ["a", "2024-02-30"], ["2024-02-29", None], id="year"),
        pytest.param("date_add(x, 1)", ["a"], ["2024-02-29", None], id="date_add"),
        pytest.param("date_trunc('month', x)", ["a"], ["2024-02-29", None], id="date_trunc"),
        pytest.param("CASE WHEN x > 100 THEN 'much' ELSE 'little' END", ["a"], ["1", "101"], id="condition"),
        pytest.param("CASE WHEN x RLIKE '^[0-9]+$' THEN int(x) END", [], ["a", "1", None], id="guarded"),
        pytest.param("CASE WHEN x = 'none' THEN 0 ELSE int(x) END", ["a"], ["none", "1", None], id="else"),
        pytest.param("CASE x WHEN 1 THEN 'one' END", ["a"], ["1", "2", None], id="case of a value"),
        pytest.param("IF(x = 'none', NULL, int(x))", ["a"], ["none", "1", None], id="if"),
        pytest.param("x RLIKE '^[0-9]+$' AND int(x) > 5", [], ["a", "1", "9", None], id="and"),
        pytest.param("x = 'none' OR int(x) > 5", ["a"], ["none", "9", None], id="or"),
        pytest.param("coalesce(try_cast(x AS int), int(x))", ["a"], ["1", None], id="coalesce"),
        pytest.param("transform(split(x, ','), i -> int(i))", ["1,a"], ["1,2", None], id="items"),
        pytest.param("from_json(x, 'a int, b string')", ["{", '{"a": "z"}'], ['{"a": 1}', "{}", None], id="json"),
        pytest.param("from_json(x, 'struct<a:int>').a", ["{", "1"], ['{"a": 1}', None], id="struct of json"),
        pytest.param("from_json(x, 'array<int>')", ["[1"], ["[1]", None], id="array of json"),
        pytest.param("substring('abc', x)", ["a"], ["1", None], id="substring"),
        pytest.param("lpad('abc', x, '.')", ["a"], ["5", None], id="lpad"),
        pytest.param("size(filter(split(x, ','), i -> i > 1))", ["1,a"], ["1,2", None], id="filter"),
    ],
)
def test_a_value_is_lost_where_spark_finds_none(
    spark: SparkSession, expression: str, lost: list[str], kept: list[str | None]
) -> None:
    rows = spark.createDataFrame([(value,) for value in (*lost, *kept)], "x string")
    is_lost = " OR ".join(loss.condition for loss in losses(expression)) or "false"
    with judging(spark):
        found = rows.selectExpr("x", f"{is_lost} AS is_lost").collect()
    assert {row.x for row in found if row.is_lost} == set(lost)
    assert {row.x for row in found if row.is_lost is False} == set(kept)
