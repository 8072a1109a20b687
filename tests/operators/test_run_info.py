"""Who asks for a load, and which dates a template sees: for every way to start a run."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.testing.airflow_home import DAY, MakeContext

if TYPE_CHECKING:
    from airflow_ingest.operators import BronzeIngestOperator

SPEC = {"source": {"files": "in/{{ ds }}/{{ ts_nodash }}.csv", "format": "csv"}, "silver": {"keys": ["id"]}}
FULL = {**SPEC, "extract": {"mode": "full"}, "source": {"files": "in/all.csv", "format": "csv"}}
NO_DATE: dict[str, Any] = {"run_type": "manual", "interval": None}


@pytest.fixture
def ingest() -> BronzeIngestOperator:
    from airflow.sdk import DAG

    from airflow_ingest.operators import BronzeIngestOperator

    with DAG("p"):
        return BronzeIngestOperator(task_id="ingest", lake="lake", table="t", spec=SPEC)


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        pytest.param({"run_type": "scheduled"}, "live", id="scheduled"),
        pytest.param({"run_type": "backfill"}, "backfill", id="backfill"),
        pytest.param({"run_type": "manual"}, "manual", id="manual-with-a-date"),
        pytest.param({"run_type": "operator_triggered"}, "manual", id="triggered-by-a-dag-with-a-date"),
        pytest.param(NO_DATE, "live", id="manual-without-a-date"),
        pytest.param({"run_type": "asset_triggered", "interval": None}, "live", id="asset"),
    ],
)
def test_the_kind_of_a_run(
    ingest: BronzeIngestOperator, make_context: MakeContext, run: dict[str, Any], kind: str
) -> None:
    from airflow_ingest._context import run_info

    info = run_info(make_context(ingest, **run))

    assert info.kind == kind
    assert info.pipeline == "p"
    assert (info.interval is None) == ("interval" in run)


def test_the_pipeline_can_be_named(ingest: BronzeIngestOperator, make_context: MakeContext) -> None:
    from airflow_ingest._context import run_info

    assert run_info(make_context(ingest), "other").pipeline == "other"


def test_templates_follow_the_interval_and_not_the_logical_date(
    ingest: BronzeIngestOperator, make_context: MakeContext
) -> None:
    hour = (datetime(2013, 1, 4, 7, tzinfo=timezone.utc), datetime(2013, 1, 4, 8, tzinfo=timezone.utc))
    context = make_context(ingest, run_type="manual", interval=hour, logical_date=DAY + timedelta(days=300))

    ingest.render_template_fields(context)

    assert ingest.files == "in/2013-01-04/20130104T070000.csv"


def test_a_date_that_the_run_does_not_have_is_explained(
    ingest: BronzeIngestOperator, make_context: MakeContext
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    with pytest.raises(AirflowFailException, match=r"ingest: a template needs a date.*Trigger it again with one"):
        ingest.render_template_fields(make_context(ingest, **NO_DATE))


def test_an_interval_table_without_interval_fails_before_spark(make_context: MakeContext) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_ingest.operators import BronzeIngestOperator

    spec = {**FULL, "extract": {"mode": "interval"}}
    with DAG("p"):
        operator = BronzeIngestOperator(task_id="ingest", lake="lake", table="t", spec=spec)

    with pytest.raises(AirflowFailException, match=r"tables\.t loads a data interval.*extract: \{mode: full\}"):
        operator.execute(make_context(operator, **NO_DATE))
