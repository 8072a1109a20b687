"""Rules on rows against plain Python: good and bad values, NULL, no rows, values of another type, SQL in disguise."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from airflow_ingest.config import Quality
from airflow_ingest.lakehouse.quality.row_rules import failing_condition, outcome
from airflow_ingest.lakehouse.silver.judged import judging
from airflow_ingest.lakehouse.silver.lookups import known_as

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DROP = "'; DROP TABLE batch; --"
ODD = f"a`b{DROP} /* \\"
ROWS: list[tuple[int | None, str | None, str | None]] = [
    (5, "EWR", "5"),
    (-1, "ewr", "-1"),
    (7, DROP, "abc"),
    (None, None, None),
]
"""A number, a text, and a number as text: the one before last has none."""
Breaks = Callable[[int | None, str | None, str | None], bool]


def number(text: str | None) -> int | None:
    return int(text) if text is not None and text.lstrip("-").isdigit() else None


CASES: dict[str, tuple[dict[str, Any], Breaks]] = {
    "expect": ({"expect": "n > 0"}, lambda n, code, text: n is None or n <= 0),
    "expect of a text": ({"expect": "text > 0"}, lambda n, code, text: (number(text) or 0) <= 0),
    "expect with a quote": (
        {"expect": "code <> '\\'; DROP TABLE batch; --'"},
        lambda n, code, text: code in (DROP, None),
    ),
    "accepted_values": (
        {"accepted_values": {"column": "code", "values": ["EWR", "JFK", DROP]}},
        lambda n, code, text: code == "ewr",
    ),
    "accepted_values of an odd column": (
        {"accepted_values": {"column": ODD, "values": ["EWR", "it's"]}},
        lambda n, code, text: code not in ("EWR", None),
    ),
    "accepted_values, numbers as text": (
        {"accepted_values": {"column": "n", "values": ["5", "7"]}},
        lambda n, code, text: n == -1,
    ),
    "accepted_values, a text among numbers": (
        {"accepted_values": {"column": "text", "values": [5, -1]}},
        lambda n, code, text: text == "abc",
    ),
    "range": ({"range": {"column": "n", "min": 0, "max": 6}}, lambda n, code, text: n in (-1, 7)),
    "range of texts": (
        {"range": {"column": "code", "min": "E", "max": "Z"}},
        lambda n, code, text: code in ("ewr", DROP),
    ),
    "range, a text among numbers": (
        {"range": {"column": "text", "min": 0}},
        lambda n, code, text: text in ("-1", "abc"),
    ),
    "range, a date of numbers": ({"range": {"column": "text", "max": 4}}, lambda n, code, text: text in ("5", "abc")),
    "pattern": ({"pattern": {"column": "code", "regex": "^[A-Z]{3}$"}}, lambda n, code, text: code in ("ewr", DROP)),
    "pattern of a number": ({"pattern": {"column": "n", "regex": "^[0-9]+$"}}, lambda n, code, text: n == -1),
    "pattern with a quote": (
        {"pattern": {"column": ODD, "regex": "^'; .* --$"}},
        lambda n, code, text: code in ("EWR", "ewr"),
    ),
    "relationships": (
        {"relationships": {"column": "code", "table": "silver.airports", "key": "code"}},
        lambda n, code, text: code not in ("EWR", None),
    ),
}


@pytest.mark.spark
def test_what_breaks_a_rule_is_what_python_says(spark: SparkSession) -> None:
    rules = {case: Quality.model_validate({"rules": [spec]}).rules[0] for case, (spec, _) in CASES.items()}
    frame = spark.createDataFrame(list(enumerate(ROWS)), "at int, row struct<n: int, code: string, text: string>")
    known = known_as(rules["relationships"].name)
    frame = frame.select("at", "row.*", F.expr("if(row.code = 'EWR', true, NULL)").alias(known))
    frame = frame.withColumn(ODD, F.col("code"))
    with judging(spark):
        broken = frame.select("at", *(F.expr(failing_condition(rule)).alias(case) for case, rule in rules.items()))
        rows = [row.asDict() for row in broken.orderBy("at").collect()]
        none = broken.where("at < 0").agg(*(F.count_if(F.col(f"`{case}`")).alias(case) for case in CASES)).collect()[0]
    found = {case: [row[case] for row in rows] for case in CASES}
    assert found == {case: [breaks(*row) for row in ROWS] for case, (_, breaks) in CASES.items()}
    assert all(outcome(rule, none[case]).passed for case, rule in rules.items())


def test_the_outcome_says_how_many_rows_break_a_rule() -> None:
    (rule,) = Quality.model_validate({"rules": [{"expect": "n > 0"}]}).rules
    assert (outcome(rule, 3).passed, outcome(rule, 3).message) == (False, "3 rows break it")
