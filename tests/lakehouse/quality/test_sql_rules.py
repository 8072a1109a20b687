"""Rules that are a query: in the one pass or beside it, what is not true, and what cannot be worked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_ingest.config.sql import parse_query
from airflow_ingest.lakehouse.quality.sql_rules import as_aggregate
from tests.lakehouse.quality.test_batch_rules import SOME, found

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GROUPS = "WITH s AS (SELECT shop, count(*) AS n FROM batch GROUP BY shop) SELECT max(n) < 3 FROM s"


@pytest.mark.parametrize(
    ("sql", "aggregate"),
    [
        ("SELECT sum(distance) > 0 FROM batch", ("SUM(distance) > 0", "true")),
        ("SELECT count(*) = 0 FROM batch WHERE a IS NULL OR b > 3", ("COUNT(*) = 0", "a IS NULL OR b > 3")),
        ("SELECT count(DISTINCT x) > 1 FROM batch", None),
        ("SELECT sum(x) OVER () > 1 FROM batch", None),
        ("SELECT count(*) > 1 FROM batch AS b JOIN batch AS c ON b.id = c.id", None),
        ("SELECT count(*) > 1 FROM batch GROUP BY x", None),
        ("SELECT x > 1 FROM batch", None),
        ("SELECT sum(x) > my_aggregate(x) FROM batch", None),
        ("SELECT sum(x) FILTER (WHERE x > 0) > 1 FROM batch", ("SUM(x) FILTER(WHERE x > 0) > 1", "true")),
        ("SELECT sum(x) > 1 FROM batch TABLESAMPLE (5 ROWS)", None),
        ("SELECT sum(x) > 1 FROM batch PIVOT (sum(y) FOR z IN (1 AS x))", None),
        (GROUPS, None),
    ],
)
def test_a_query_that_only_aggregates_needs_no_pass_of_its_own(sql: str, aggregate: tuple[str, str] | None) -> None:
    assert as_aggregate(sql) == aggregate


@pytest.mark.spark
@pytest.mark.parametrize(
    ("sql", "message"),
    [
        pytest.param("SELECT sum(amount) = 80 FROM batch", "", id="an aggregate"),
        pytest.param("SELECT sum(amount) > 80 FROM batch", "its query gives False, not true", id="that is false"),
        pytest.param("SELECT count(*) = 2 FROM batch WHERE shop IS NULL", "", id="of some rows"),
        pytest.param("SELECT sum(amount) > 0 FROM batch WHERE id > 99", "its query gives NULL, not true", id="NULL"),
        pytest.param("SELECT max(amount) FROM batch", "its query gives 40.0, not true", id="a number"),
        pytest.param("SELECT count(DISTINCT shop) = 1 FROM batch", "", id="that needs a pass of its own"),
        pytest.param(GROUPS, "", id="of groups"),
        pytest.param(
            "SELECT id > 0 FROM batch", "it cannot be worked out: gives several rows, not one value", id="many rows"
        ),
        pytest.param(
            "SELECT id > 0 FROM batch WHERE id > 99",
            "it cannot be worked out: gives no rows, not one value",
            id="no row",
        ),
        pytest.param(
            "SELECT count(*) > 0, 1 FROM batch", "it cannot be worked out: gives 2 columns, not one value", id="columns"
        ),
    ],
)
def test_only_true_is_true(spark: SparkSession, sql: str, message: str) -> None:
    (result,) = found(spark, SOME, {"sql": sql})
    assert (result.passed, result.message) == (not message, message)


@pytest.mark.spark
def test_what_cannot_be_worked_out_fails_alone(spark: SparkSession) -> None:
    *bad, good = found(
        spark,
        SOME,
        {"name": "unknown", "sql": "SELECT sum(amont) > 0 FROM batch"},
        {"drift": {"metric": "avg(amont)"}},
        {"name": "beside", "sql": "SELECT count(DISTINCT amont) > 0 FROM batch"},
        {"row_count": {"min": 1}},
    )
    assert good.passed
    for result in bad:
        assert not result.passed
        assert "it cannot be worked out" in result.message
        assert "amont" in result.message


@pytest.mark.spark
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) = 4 FROM batch -- WHERE false",
        "SELECT count(*) = 2 FROM batch WHERE shop <> '''; DROP TABLE batch; --'",
        "SELECT count(*) = 4 /* ) FILTER (WHERE false */ FROM `batch`",
        "SELECT count(*) = 4 FROM batch WHERE '`' <> '{'",
    ],
)
def test_a_query_cannot_leave_its_place(spark: SparkSession, sql: str) -> None:
    (result,) = found(spark, SOME, {"sql": sql})
    assert result.passed, result.message


def test_two_statements_are_no_query() -> None:
    assert parse_query("SELECT count(*) = 4 FROM batch; DROP TABLE batch").problems
