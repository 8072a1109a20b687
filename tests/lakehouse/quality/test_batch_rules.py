"""Batch rules against plain Python: what each measures of any rows, and how it judges that."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.config import Quality
from airflow_ingest.lakehouse.model import RuleResult
from airflow_ingest.lakehouse.quality.batch_rules import judge
from airflow_ingest.lakehouse.quality.questions import Questions
from airflow_ingest.lakehouse.quality.results import Judgement, past_values, record
from tests.lakehouse.conftest import Workbench, run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

END = datetime(2026, 1, 8, tzinfo=timezone.utc)
COLUMNS = "id int, amount double, shop string, day date, at timestamp, counts boolean"
Row = tuple[int, float | None, str | None, datetime | None, bool]


def row(id_: int, amount: float | None, shop: str | None, at: datetime | None, *, counts: bool = True) -> Row:
    return id_, amount, shop, at, counts


HOURS = [END - timedelta(hours=hours) for hours in (1, 30, 60)]
SOME = [
    row(1, 10.0, "a", HOURS[0]),
    row(2, None, "a", HOURS[1]),
    row(3, 30.0, None, HOURS[2]),
    row(4, 40.0, None, None),
    row(5, 1e9, "b", END + timedelta(days=9), counts=False),
]
NULLS = [row(1, None, None, None), row(2, None, None, None)]
NONE: list[Row] = [row(5, 1e9, "b", END, counts=False)]


def rules(*specs: Any) -> list[Any]:
    return list(Quality.model_validate({"rules": list(specs)}).rules)


def found(spark: SparkSession, rows: list[Row], *specs: Any, past: tuple[float, ...] = ()) -> list[RuleResult]:
    values = [(id_, amount, shop, at and at.date(), at, counts) for id_, amount, shop, at, counts in rows]
    frame = spark.createDataFrame(values, COLUMNS)
    asked = [(index, rule, "counts") for index, rule in enumerate(rules(*specs))]
    questions = Questions.of(asked, frame)
    measured = questions.answers(frame.columns)
    return [judge(rule, index, measured, END, past) for index, rule, _ in asked]


@pytest.mark.spark
@pytest.mark.parametrize(
    ("rows", "spec", "passed", "value", "failing"),
    [
        pytest.param(SOME, {"row_count": {"min": 4, "max": 4}}, True, 4, 0, id="row_count"),
        pytest.param(SOME, {"row_count": {"min": 5}}, False, 4, 0, id="row_count, too few"),
        pytest.param(NONE, {"row_count": {"min": 1}}, False, 0, 0, id="row_count of none"),
        pytest.param(SOME, {"null_rate": {"column": "shop", "max": "50%"}}, True, 0.5, 2, id="null_rate"),
        pytest.param(SOME, {"null_rate": {"column": "shop", "max": "49%"}}, False, 0.5, 2, id="null_rate, too many"),
        pytest.param(NONE, {"null_rate": {"column": "shop", "max": 0}}, True, 0, 0, id="null_rate of none"),
        pytest.param(SOME, {"unique": ["id"]}, True, 0, 0, id="unique"),
        pytest.param(SOME, {"unique": ["shop"]}, False, 4, 4, id="unique, NULL is a value"),
        pytest.param(NONE, {"unique": ["shop"]}, True, 0, 0, id="unique of none"),
        pytest.param(SOME, {"duplicate_rate": {"columns": ["shop"], "max": "50%"}}, True, 0.5, 2, id="duplicates"),
        pytest.param(SOME, {"duplicate_rate": {"columns": ["shop"], "max": "49%"}}, False, 0.5, 2, id="too many"),
        pytest.param(NULLS, {"duplicate_rate": {"columns": ["shop"], "max": 0}}, False, 0.5, 1, id="NULLs repeat"),
        pytest.param(NONE, {"duplicate_rate": {"columns": ["id"], "max": 0}}, True, 0, 0, id="no duplicates in none"),
        pytest.param(SOME, {"freshness": {"column": "at", "max_age": "1h"}}, True, 3600, 0, id="fresh"),
        pytest.param(SOME, {"freshness": {"column": "at", "max_age": "59m"}}, False, 3600, 0, id="stale"),
        pytest.param(SOME, {"freshness": {"column": "day", "max_age": "1d"}}, True, 86400, 0, id="a fresh day"),
        pytest.param(SOME, {"freshness": {"column": "shop", "max_age": "1d"}}, False, None, 0, id="no time at all"),
        pytest.param(NULLS, {"freshness": {"column": "at", "max_age": "1d"}}, False, None, 0, id="NULL is not fresh"),
        pytest.param(NONE, {"freshness": {"column": "at", "max_age": "1d"}}, True, None, 0, id="none is not stale"),
        pytest.param(SOME, {"drift": {"metric": "row_count"}}, True, 4, 0, id="drift without a past"),
        pytest.param(NULLS, {"drift": {"metric": "avg(amount)"}}, False, None, 0, id="a metric without a value"),
        pytest.param(NONE, {"drift": {"metric": "avg(amount)"}}, True, None, 0, id="a metric of none"),
    ],
)
def test_a_rule_on_any_rows(
    spark: SparkSession, rows: list[Row], spec: Any, *, passed: bool, value: float | None, failing: int
) -> None:
    (result,) = found(spark, rows, spec)
    assert (result.passed, result.failing) == (passed, failing), result.message
    assert result.value == (None if value is None else pytest.approx(value))
    assert (result.message == "") is passed


@pytest.mark.spark
def test_messages_say_what_was_found_and_what_is_allowed(spark: SparkSession) -> None:
    results = found(
        spark,
        SOME,
        {"duplicate_rate": {"columns": ["shop", "counts"], "max": "10%"}},
        {"freshness": {"column": "at", "max_age": "30m"}},
        {"drift": {"metric": "sum(amount) / count(*)", "sigmas": 2}},
        past=(9.0, 10.0, 11.0),
    )
    assert [result.message for result in results] == [
        "50.00% of the rows repeat another's (shop, counts), allowed 10.00%",
        "the newest at is 2026-01-07 23:00:00 UTC, older than 30m at 2026-01-08 00:00:00 UTC",
        "sum(amount) / count(*) is 20; in the last 3 batches it was 10 ± 2 (2 sigmas)",
    ]


@pytest.mark.parametrize(
    ("value", "past", "passed"),
    [
        (100, (100, 102, 98), True),
        (107, (100, 102, 98), False),
        (106, (100, 102, 98), True),
        (93, (100, 102, 98), False),
        (500, (100,), True),
        (107, (100, 102, 98, 0, 5000), False),
    ],
    ids=[
        "as ever",
        "above",
        "at the bound",
        "below",
        "one earlier batch",
        "only the last runs count",
    ],
)
def test_a_metric_may_lie_so_many_sigmas_off(value: float, past: tuple[float, ...], *, passed: bool) -> None:
    (rule,) = rules({"drift": {"metric": "row_count", "runs": 3, "sigmas": 3}})
    measured = {"b0_rows": value, "b1_rows": 7}
    assert judge(rule, 0, measured, END, past).passed is passed


def test_a_metric_that_is_always_the_same_stays_so() -> None:
    (rule,) = rules({"drift": {"metric": "avg(amount)"}})
    assert judge(rule, 0, {"b0_rows": 1, "b0_answer": 0.185}, END, (0.185, 0.185, 0.185)).passed


@pytest.mark.parametrize("answer", [float("nan"), float("-inf"), "x", END], ids=["nan", "infinite", "text", "time"])
def test_a_metric_without_a_number_breaks_its_rule_and_is_no_past_for_others(answer: Any) -> None:
    (rule,) = rules({"drift": {"metric": "max(amount)"}})
    result = judge(rule, 0, {"b0_rows": 1, "b0_answer": answer}, END, (1.0, 2.0))
    assert (result.passed, result.value) == (False, None)
    assert result.message == f"max(amount) is {answer}, which is no finite number"


@pytest.mark.parametrize(("seconds", "passed"), [(1_767_225_600_000, True), (-100_000_000_000, False)], ids=str)
def test_a_moment_beyond_the_years_of_python_is_judged_too(seconds: int, *, passed: bool) -> None:
    (rule,) = rules({"freshness": {"column": "at", "max_age": "1d"}})
    assert judge(rule, 0, {"b0_rows": 1, "b0_newest": seconds * 1_000_000}, END).passed is passed


@pytest.mark.spark
def test_the_past_is_what_the_last_batches_gave_that_were_not_held(bench: Workbench) -> None:
    named = rules({"name": "size", "drift": {"metric": "row_count", "runs": 3}}, {"row_count": {"min": 1}})

    def judged(batch: str, value: float | None, decision: Any = "pass") -> None:
        results = [RuleResult(name=name, kind="drift", severity="warning", passed=True, value=value) for name in NAMES]
        record(bench.spark, bench.lake, run(1), Judgement("orders", batch, 1, tuple(results), decision))

    assert past_values(bench.spark, bench.lake, "orders", named, "own") == {}
    judged("a", 1)
    judged("b", 2)
    judged("a", 3)
    judged("held", 99, "block")
    judged("empty", None)
    judged("own", 77)
    judged("c", 4)
    judged("d", 5)
    assert past_values(bench.spark, bench.lake, "orders", named, "own") == {"size": [5, 4, 3]}
    assert past_values(bench.spark, bench.lake, "others", named, "own") == {}


NAMES = ("size", "row_count")
