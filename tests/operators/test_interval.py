"""Which interval a run takes: its own, its form's, that of the batches that triggered it, or the schedule's newest."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_ingest.testing.airflow_home import DAY, MakeContext

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.operators import BronzeIngestOperator

SPEC = {"source": {"files": "in/{{ ds }}.csv", "format": "csv"}, "silver": {"keys": ["id"]}}
NEXT = DAY + timedelta(days=1)
LAST = NEXT + timedelta(days=1)


@pytest.fixture
def ingest() -> BronzeIngestOperator:
    """A table's first task, as a pipeline file makes it, in a DAG that runs at midnight in Berlin."""
    from airflow.sdk import DAG, CronDataIntervalTimetable

    from airflow_ingest.operators import BronzeIngestOperator

    with DAG("p", schedule=CronDataIntervalTimetable("0 0 * * *", timezone="Europe/Berlin")):
        operator = BronzeIngestOperator(task_id="ingest", lake="lake", table="t", spec=SPEC)
    operator.chosen_as = "t"
    return operator


def with_params(context: Context, **params: Any) -> Context:
    return cast("Context", {**context, "params": params})


def after(context: Context, **events: list[dict[str, Any]]) -> Context:
    """The context of a run that these assets' events have triggered."""
    from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

    found: list[Any] = [
        SimpleNamespace(asset=SimpleNamespace(name=name, uri=name), extra=extra, source_aliases=[])
        for name, extras in events.items()
        for extra in extras
    ]
    return cast("Context", {**context, "triggering_asset_events": TriggeringAssetEventsAccessor.build(found)})


def batch(start: datetime, end: datetime) -> dict[str, Any]:
    return {"batch": {"interval": {"start": start.isoformat(), "end": end.isoformat().replace("+00:00", "Z")}}}


def test_a_run_has_its_own(ingest: BronzeIngestOperator, make_context: MakeContext) -> None:
    from airflow_ingest._interval import taken

    found = taken(make_context(ingest))

    assert found.bounds == (DAY, NEXT)
    assert str(found) == "2013-01-05 00:00 to 2013-01-06 00:00 (its own)"


def test_a_run_without_a_date_takes_the_newest_complete_one(
    ingest: BronzeIngestOperator, make_context: MakeContext
) -> None:
    from airflow_ingest._context import run_info
    from airflow_ingest._interval import taken

    context = make_context(ingest, run_type="manual", interval=None)

    midnight = datetime(2013, 1, 4, 23, tzinfo=timezone.utc)  # in Berlin; the run came an hour later
    assert taken(context).bounds == (midnight - timedelta(days=1), midnight)
    assert taken(context).to_dict() == {
        "start": "2013-01-03T23:00:00+00:00",
        "end": "2013-01-04T23:00:00+00:00",
        "origin": "the newest complete one of the schedule",
    }
    assert run_info(context).kind == "live"


def test_a_run_that_others_triggered_takes_their_batches(
    ingest: BronzeIngestOperator, make_context: MakeContext
) -> None:
    from airflow_ingest._context import run_info
    from airflow_ingest._interval import taken

    context = make_context(ingest, run_type="asset_triggered", interval=None)
    own = {"interval": {"start": NEXT.isoformat(), "end": LAST.isoformat()}}
    both = {**own, "loads": [batch(DAY, NEXT), batch(NEXT, LAST)]}
    context = after(context, one=[both, batch(DAY, NEXT)], two=[own])

    found = taken(context)

    assert found.intervals == ((DAY, NEXT), (NEXT, LAST))
    assert (found.bounds, found.origin) == ((DAY, LAST), "of the batches of one, two")
    assert run_info(context).kind == "live"
    ingest.render_template_fields(context)
    parts = list(ingest._parts(context, run_info(context)))
    assert [files for _, files, _ in parts] == ["in/2013-01-05.csv", "in/2013-01-06.csv"]
    assert [part.interval and part.interval.start for part, _, _ in parts] == [DAY, NEXT]


def test_a_run_that_follows_what_tells_no_interval(ingest: BronzeIngestOperator, make_context: MakeContext) -> None:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    context = make_context(ingest, run_type="asset_triggered", interval=None)

    with pytest.raises(AirflowSkipException, match="follows a replay of dead letters"):
        ingest._run(after(context, one=[{"replayed": 3}]))
    with pytest.raises(AirflowFailException, match="loads a data interval"):
        ingest._run(after(context, one=[{}]))


def test_the_form_comes_first(ingest: BronzeIngestOperator, make_context: MakeContext) -> None:
    from airflow_ingest._context import run_info
    from airflow_ingest._interval import taken

    asked = {"interval_from": "2013-02-01T00:00:00Z", "interval_to": "2013-02-02T12:00"}
    context = with_params(make_context(ingest, run_type="manual"), **asked)

    run = run_info(context)

    assert run.kind == "manual"
    assert run.interval
    assert run.interval.start == datetime(2013, 2, 1, tzinfo=timezone.utc)
    assert run.interval.end.utcoffset() is not None
    assert taken(context).origin == "asked for in the form"
    ingest.chosen_as = None
    assert taken(context).origin == "its own", "a DAG of your own may have such params for something else"


@pytest.mark.parametrize(
    ("run_type", "params", "message"),
    [
        ("manual", {"interval_from": "2013-02-01T00:00:00Z"}, "fill in interval_to too"),
        ("manual", {"interval_to": "2013-02-01T00:00:00Z"}, "fill in interval_from too"),
        ("manual", {"interval_from": "2013-02-01", "interval_to": "2013-02-01"}, "is not before interval_to"),
        ("backfill", {"interval_from": "2013-02-01", "interval_to": "2013-02-02"}, "have intervals of their own"),
    ],
    ids=["no-end", "no-start", "no-length", "backfill"],
)
def test_a_form_that_asks_for_what_cannot_be(
    ingest: BronzeIngestOperator, make_context: MakeContext, run_type: str, params: dict[str, Any], message: str
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_ingest._interval import taken

    with pytest.raises(AirflowFailException, match=message):
        taken(with_params(make_context(ingest, run_type=run_type), **params))


def test_a_table_that_the_form_leaves_out_is_skipped(ingest: BronzeIngestOperator, make_context: MakeContext) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    context = make_context(ingest, run_type="manual")
    for chosen in ([], None, ["u", "t"]):
        ingest.render_template_fields(with_params(context, tables=chosen))
    with pytest.raises(AirflowSkipException, match="t is not among the tables"):
        ingest.render_template_fields(with_params(context, tables=["u"]))
    ingest.chosen_as = ""
    ingest.render_template_fields(with_params(context, tables=["u"]))


def test_a_full_refresh_is_live_whatever_date_the_run_has(make_context: MakeContext) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_ingest.operators import BronzeIngestOperator

    spec = {**SPEC, "extract": {"mode": "incremental"}, "source": {"files": "in/*.csv", "format": "csv"}}
    with DAG("p"):
        operator = BronzeIngestOperator(task_id="ingest", lake="lake", table="t", spec=spec)
    operator.chosen_as = "t"

    run = operator._run(with_params(make_context(operator, run_type="manual"), full_refresh=True))
    usual = operator._run(with_params(make_context(operator, run_type="manual"), full_refresh=False))

    assert (run.kind, run.anew) == ("live", True)
    assert (usual.kind, usual.anew) == ("manual", False)
    with pytest.raises(AirflowFailException, match="Trigger a single run with it"):
        operator._run(with_params(make_context(operator, run_type="backfill"), full_refresh=True))
