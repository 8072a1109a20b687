"""Which runs have a deadline, by Airflow's own database."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.notifications.interval_end import IntervalEnd

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.airflow

NOW = datetime.now(timezone.utc).replace(microsecond=0)
HOUR = timedelta(hours=1)


@pytest.fixture
def session(airflow_db: None) -> Any:
    """A session whose changes are thrown away."""
    from airflow.settings import Session as NewSession

    assert NewSession is not None
    session = NewSession()
    yield session
    session.rollback()
    session.close()


def run(session: Session, run_type: str, end: datetime | None) -> Any:
    from airflow.models import DagRun
    from airflow.utils.state import DagRunState

    interval: Any = (end - HOUR, end) if end else None
    found = DagRun(
        dag_id="shop",
        run_id=f"{run_type}__{end and end.isoformat()}",
        run_type=run_type,
        logical_date=end and end - HOUR,
        data_interval=interval,
        run_after=end or NOW,
        state=DagRunState.RUNNING,
    )
    session.add(found)
    session.flush()
    return found


@pytest.mark.parametrize(
    ("run_type", "end", "within", "counts"),
    [
        pytest.param("scheduled", NOW, HOUR, True, id="just ended"),
        pytest.param("scheduled", NOW - HOUR / 2, HOUR / 60, True, id="started late, and no later one is due"),
        pytest.param("scheduled", NOW - 2 * HOUR, HOUR, False, id="it catches up"),
        pytest.param("scheduled", NOW - 2 * HOUR, 3 * HOUR, True, id="it catches up in time"),
        pytest.param("backfill", NOW, HOUR, False, id="a backfill"),
        pytest.param("manual", NOW, HOUR, False, id="by hand"),
        pytest.param("asset_triggered", None, HOUR, False, id="without an interval"),
        pytest.param("scheduled", None, HOUR, False, id="of the schedule, without an interval"),
    ],
)
def test_which_runs_have_a_deadline(
    session: Session, run_type: str, end: datetime | None, within: timedelta, counts: bool
) -> None:
    found = run(session, run_type, end)
    due = IntervalEnd(within)._evaluate_with(session=session, dag_id="shop", run_id=found.run_id)
    assert due == (end if counts else None)


def test_a_run_that_is_not_there_has_none(session: Session) -> None:
    assert IntervalEnd(HOUR)._evaluate_with(session=session, dag_id="shop", run_id="none") is None
