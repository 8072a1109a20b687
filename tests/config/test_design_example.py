"""The example of the design: every part of the language validates, and what is not served yet is said exactly."""

from datetime import timedelta
from pathlib import Path

import pytest

from airflow_ingest.config import NullRateRule, Pipeline, RangeRule, parse_pipeline
from airflow_ingest.config.pipeline import LEVELS

EXAMPLE = Path(__file__).parents[1] / "data/design_example.yaml"
ENV = {"LANDING_ROOT": "/landing"}


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return parse_pipeline(EXAMPLE.read_text("utf-8"), file="flights.yaml", env=ENV, served=False)


def test_it_validates(pipeline: Pipeline) -> None:
    flights = pipeline.tables["flights"]
    assert pipeline.lake == "./lake"
    assert pipeline.spark.conf == {"spark.sql.shuffle.partitions": "8"}
    assert flights.source.files == "/landing/flights/{{ ds }}.csv"
    assert flights.wait is not None
    assert flights.wait.timeout == timedelta(hours=1)
    assert flights.silver is not None
    assert flights.silver.keep_others is False
    assert len(flights.quality.rules) == 13
    assert isinstance(flights.quality.rules[2], NullRateRule)
    assert flights.quality.rules[2].null_rate.max == 0.1
    assert flights.quality.rules[2].name == "null_rate(delay)"
    assert isinstance(flights.quality.rules[7], RangeRule)
    assert flights.quality.rules[7].range.max == 20000
    assert pipeline.tables["airlines"].quality.max_reject_rate == 0.05


def test_gold_knows_its_inputs(pipeline: Pipeline) -> None:
    assert pipeline.gold["daily_carrier"].inputs == ("silver.flights",)
    assert pipeline.gold["weekly_carrier"].inputs == ("gold.daily_carrier",)
    assert pipeline.gold["weekly_carrier"].query.startswith(
        "SELECT DISTINCT `carrier`, `flight_date`, SUM(flights) OVER"
    )


def test_all_of_it_is_served(pipeline: Pipeline) -> None:
    assert parse_pipeline(EXAMPLE.read_text("utf-8"), file="flights.yaml", env=ENV) == pipeline


def test_who_is_told_of_what(pipeline: Pipeline) -> None:
    assert pipeline.alerts is not None
    pager = pipeline.alerts.notify["critical"][0]
    assert (pager.class_, pager.args) == ("my_package.notifiers.Pager", {"team": "data"})
    assert pipeline.alerts.levels == LEVELS, "the example writes out what holds where nothing is written"
    assert pipeline.tables["flights"].sla is not None
    assert pipeline.late_mail(pipeline.tables["flights"].sla) == ("ops@example.com",)
