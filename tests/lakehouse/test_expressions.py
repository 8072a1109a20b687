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
        pytest.param("aggregate(xs, 0, (a, x) -> a + int(x))", ["a + CAST(x AS INT)", "CAST(x AS INT)"], id="a fold"),
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
        pytest.param("tinyint(int(x))", ["128"], ["127", None], id="an overflow that would wrap around"),
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
        pytest.param("named_struct('a', int(x)).a > 1", ["a"], ["1", "2", None], id="a struct's field"),
        pytest.param("cast(split(x, ';') AS array<int>)", ["1;a"], ["1;2", None], id="cast to an array"),
        pytest.param("cast(struct(x, 1 AS b) AS struct<`a b`: int, c: int>)", ["a"], ["1", None], id="to a struct"),
        pytest.param("cast(map('k', x) AS map<string, date>)", ["a"], ["2024-02-29", None], id="to a map"),
        pytest.param(
            "cast(array(named_struct('a', array(x))) AS array<struct<b: array<tinyint>>>)",
            ["a", "128"],
            ["127", None],
            id="to a nest",
        ),
        pytest.param("try_cast(split(x, ';') AS array<int>)", [], ["1;a", None], id="try_cast to an array"),
        pytest.param("x <=> 1", ["a"], ["1", "2", None], id="null-safe"),
        pytest.param("x <=> int(NULL)", ["a"], ["1", None], id="null-safe with NULL"),
        pytest.param("int(NULL) IS DISTINCT FROM x", ["a"], ["1", None], id="NULL distinct from"),
        pytest.param("x <=> 'a'", [], ["a", "b", None], id="null-safe texts"),
        pytest.param("x IS DISTINCT FROM 1", ["a"], ["1", "2", None], id="distinct from"),
        pytest.param("isnan(x)", ["a"], ["1", "NaN", None], id="isnan"),
        pytest.param("map(1, 2)[x]", ["a"], ["1", "7", None], id="a key that is a number"),
        pytest.param("map('a', 2)[x]", [], ["a", "7", None], id="a key that is a text"),
        pytest.param("map(DATE'2024-01-01', 2)[x]", ["a"], ["2024-01-01", None], id="a key that is a date"),
        pytest.param("split(x, ',')[length(x)]", [], ["a", "7", None], id="an array's element"),
        pytest.param("slice(array(1, 2), x, 1)", ["a"], ["1", None], id="slice"),
        pytest.param("dayname(x)", ["a"], ["2024-02-29", None], id="dayname"),
        pytest.param("sin(x) + rint(x)", ["a"], ["1", None], id="functions of numbers"),
        pytest.param(
            "aggregate(split(x, ';'), 0Y, (a, y) -> a + tinyint(y))",
            ["100;100", "100;100;-100"],
            ["1;2", None],
            id="sum",
        ),
        pytest.param(
            "aggregate(split(x, ';'), cast(NULL AS INT), (A, y) -> coalesce(a, 1) * int(y))",
            ["9;b", "99999;99999"],
            ["9;9", None],
            id="a product of nothing at first",
        ),
        pytest.param(
            "aggregate(split(x, ';'), 0, (a, y) -> a + coalesce(try_cast(y AS INT), 0), a -> tinyint(a))",
            ["100;100"],
            ["1;a", None],
            id="what a fold ends with",
        ),
        pytest.param(
            "reduce(split(x, ';'), named_struct('n', 0Y), (a, y) -> named_struct('n', "
            "aggregate(split(y, ','), a.n, (a, z) -> a + tinyint(z)))).n",
            ["100,1;27"],
            ["100,1;26", None],
            id="a fold in a fold",
        ),
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
