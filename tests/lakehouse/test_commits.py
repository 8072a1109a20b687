"""Where a batch's rows go: appended only where the log shows that the table has never had them."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest

from airflow_ingest.lakehouse import Batch, Interval
from airflow_ingest.lakehouse.commits import Place
from airflow_ingest.lakehouse.log import Commit

NEW = [Commit(0, "CREATE TABLE", {})]


def batch(day: int | None) -> Batch:
    start = datetime(2026, 1, day or 1, tzinfo=timezone(timedelta(hours=2)))
    interval = Interval(start=start, end=start + timedelta(days=1)) if day else None
    return Batch(
        table="t", id=f"b{day}", generation=77, run_id="r", interval=interval, processing_date=date(2026, 1, 1)
    )


def commit(day: int | None) -> Commit:
    place = Place.of(batch(day), NEW)
    return Commit(1, "WRITE", place.stamp("a", batch(day)).metadata if day else {})


@pytest.mark.parametrize(
    ("day", "commits", "first"),
    [
        pytest.param(3, NEW, True, id="a new table"),
        pytest.param(3, [commit(2)], True, id="after the newest"),
        pytest.param(3, [commit(3)], False, id="the newest again"),
        pytest.param(3, [commit(4)], False, id="older than the newest"),
        pytest.param(3, [commit(None), commit(2)], True, id="others' commits are passed over"),
        pytest.param(4, [commit(2), commit(4)], False, id="two that ran side by side: the later one knew the lower"),
        pytest.param(3, [], False, id="the log does not tell"),
        pytest.param(3, [commit(None)], False, id="others' commits alone"),
        pytest.param(None, [commit(2)], False, id="no interval"),
        pytest.param(None, NEW, False, id="no interval in a new table"),
    ],
)
def test_a_batch_is_first_only_where_the_log_shows_it(day: int | None, commits: list[Commit], first: bool) -> None:
    place = Place.of(batch(day), commits)
    assert place.first is first
    assert place.stamp("a", batch(day)).version == (1 if first else 77)


def test_the_newest_interval_is_passed_on_and_never_moves_back() -> None:
    log = list(NEW)
    for day in (5, 3, 7, 4):
        place = Place.of(batch(day), log)
        log.insert(0, Commit(len(log), "WRITE", place.stamp("a", batch(day)).metadata))
    assert [c.metadata["highest"][:10] for c in reversed(log[:-1])] == [
        "2026-01-05",
        "2026-01-05",
        "2026-01-07",
        "2026-01-07",
    ]


def test_a_log_that_lost_count_stays_so() -> None:
    place = Place.of(batch(9), [Commit(5, "WRITE", {})])
    assert place.highest is None
