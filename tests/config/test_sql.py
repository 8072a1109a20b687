"""What is read out of SQL."""

import pytest

from airflow_ingest.config.aggregate import to_sql
from airflow_ingest.config.gold import Aggregate
from airflow_ingest.config.sql import parse_expression, parse_query, reads_clock


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("distance > 0", {"distance"}),
        ("upper(trim(carrier))", {"carrier"}),
        ("`air time` > 1 AND b.c = 2", {"air time", "b"}),
        ("filter(items, x -> x > floor(y)) IS NOT NULL", {"items", "y"}),
        ("timestampdiff(DAY, a, b) > 3", {"a", "b"}),
        ("extract(year FROM d) = 2013", {"d"}),
        ("a BETWEEN DATE '2013-01-01' AND current_date()", {"a"}),
        ("current_timestamp", set()),
        ("true", set()),
        ("s['key'] = 'x' OR m.k IS NULL", {"s", "m"}),
        ("c RLIKE '^a' AND c::int > 1", {"c"}),
    ],
)
def test_columns_of_an_expression(text: str, columns: set[str]) -> None:
    expression = parse_expression(text)
    assert expression.problems == ()
    assert {name for name, _ in expression.columns} == columns
    for name, offset in expression.columns:
        assert text[offset:].lstrip("`").startswith(name)


@pytest.mark.parametrize("text", ["a > 0", "a IS NOT NULL", " a <= -1.5 ", "a", "A is null", "_a1 <> 3"])
def test_simple_expressions_are_read_as_sqlglot_reads_them(text: str) -> None:
    whole = parse_expression(f"({text})")
    assert parse_expression(text).columns == tuple((name, offset - 1) for name, offset in whole.columns)


@pytest.mark.parametrize(
    "call", ["rand()", "RANDN(3)", "uuid()", "shuffle(a)", "monotonically_increasing_id()", "now()"]
)
def test_what_answers_differently_each_time_is_refused(call: str) -> None:
    (problem,) = parse_expression(f"b = {call}").problems
    assert problem.problem.startswith(call.split("(")[0].lower() + "()")
    assert problem.offset == 4


@pytest.mark.parametrize(
    ("sql", "tables", "columns"),
    [
        ("SELECT a, b AS c FROM silver.x", ("silver.x",), ("a", "c")),
        ("SELECT * FROM silver.x", ("silver.x",), None),
        ("WITH q AS (SELECT * FROM gold.y) SELECT q.a FROM q, silver.x", ("gold.y", "silver.x"), ("a",)),
        ("SELECT a FROM silver.x UNION ALL SELECT a FROM silver.y", ("silver.x", "silver.y"), ("a",)),
        (
            "SELECT a FROM (SELECT a FROM silver.x) WHERE a IN (SELECT b FROM silver.z)",
            ("silver.x", "silver.z"),
            ("a",),
        ),
        ("SELECT t.b FROM silver.x LATERAL VIEW explode(a) t AS b", ("silver.x",), ("b",)),
        ("SELECT id FROM range(10) JOIN silver.x USING (id)", ("silver.x",), ("id",)),
        ("SELECT `a b` FROM `silver`.`x`", ("silver.x",), ("a b",)),
    ],
)
def test_tables_and_columns_of_a_query(sql: str, tables: tuple[str, ...], columns: tuple[str, ...] | None) -> None:
    query = parse_query(sql)
    assert query.problems == ()
    assert query.tables == tables
    assert query.columns == columns


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("day > current_date() - 30", True),
        ("day > CURRENT_DATE", True),
        ("at > now()", True),
        ("at > localtimestamp()", True),
        ("current_owner = 'now'", False),
    ],
)
def test_a_query_that_reads_the_clock_is_known(condition: str, *, reads: bool) -> None:
    assert reads_clock(f"SELECT id FROM silver.orders WHERE {condition}") is reads


def test_an_aggregate_groups() -> None:
    aggregate = Aggregate.model_validate(
        {"from": "silver.flights", "by": ["carrier"], "measures": {"flights": "count(*)", "mean": "avg(delay)"}}
    )
    assert to_sql(aggregate) == (
        "SELECT `carrier`, count(*) AS `flights`, avg(delay) AS `mean` FROM `silver`.`flights` GROUP BY `carrier`"
    )


def test_an_aggregate_without_groups_is_one_row() -> None:
    aggregate = Aggregate.model_validate({"from": "silver.t", "measures": {"n": "count(*)"}})
    assert to_sql(aggregate) == "SELECT count(*) AS `n` FROM `silver`.`t`"


def test_a_rolling_aggregate_puts_every_sum_into_the_window() -> None:
    aggregate = Aggregate.model_validate(
        {
            "from": "gold.daily",
            "by": ["carrier"],
            "over": {"order_by": "day", "rolling": "2 weeks"},
            "measures": {"rate": "sum(late) / sum(flights)"},
        }
    )
    window = "OVER (PARTITION BY `carrier` ORDER BY `day` RANGE BETWEEN INTERVAL '13' DAY PRECEDING AND CURRENT ROW)"
    assert to_sql(aggregate) == (
        f"SELECT DISTINCT `carrier`, `day`, SUM(late) {window} / SUM(flights) {window} AS `rate` FROM `gold`.`daily`"
    )


def test_a_filter_stays_with_its_aggregate() -> None:
    aggregate = Aggregate.model_validate(
        {
            "from": "gold.daily",
            "over": {"order_by": "day", "rolling": "3 hours"},
            "measures": {"n": "sum(a) FILTER (WHERE a > 0)"},
        }
    )
    window = "OVER (ORDER BY `day` RANGE BETWEEN INTERVAL '2' HOUR PRECEDING AND CURRENT ROW)"
    assert to_sql(aggregate) == (
        f"SELECT DISTINCT `day`, SUM(a) FILTER(WHERE a > 0) {window} AS `n` FROM `gold`.`daily`"
    )
