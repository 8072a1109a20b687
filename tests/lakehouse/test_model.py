"""Values that travel through XCom and commits come back as they were."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from airflow_ingest.lakehouse import Batch, Interval, LoadResult, RowCounts
from airflow_ingest.lakehouse.model import SourceFile, short_hash
from airflow_ingest.lakehouse.sql import literal, quote

START = datetime(2026, 1, 1, tzinfo=timezone.utc)
INTERVAL = Interval(start=START, end=START + timedelta(days=1))
BATCH = Batch(
    table="t",
    id=short_hash("a"),
    generation=5,
    run_id="r",
    interval=INTERVAL,
    processing_date=date(2026, 1, 1),
    files=(SourceFile(path="/x y.csv", size=3, modified=1.5),),
    columns=("a b",),
)


def test_a_result_survives_json() -> None:
    result = LoadResult(step="s", table="t", batch=BATCH, watermark_to=INTERVAL.end, pending=(BATCH,))
    assert LoadResult.from_dict(result.to_dict()) == result


def test_a_batch_stands_at_the_end_of_its_interval() -> None:
    assert BATCH.order == INTERVAL.end
    assert BATCH.model_copy(update={"interval": None}).order == datetime.fromtimestamp(0.005, tz=timezone.utc)


@given(st.lists(st.integers(0, 1000), min_size=8, max_size=8))
def test_counts_reconcile_only_when_every_row_is_settled(parts: list[int]) -> None:
    names = ("inserted", "updated", "deleted", "unchanged", "superseded", "rejected", "filtered", "deduplicated")
    counts = RowCounts(read=sum(parts), **dict(zip(names, parts, strict=True)))
    assert counts.unaccounted == 0
    assert counts.model_copy(update={"read": counts.read + 1}).unaccounted == 1


@given(st.text())
def test_a_quoted_name_is_one_identifier(name: str) -> None:
    quoted = quote(name)
    assert quoted[0] == quoted[-1] == "`"
    assert quoted[1:-1].replace("``", "").count("`") == 0


@given(st.text())
def test_a_text_literal_cannot_be_left(value: str) -> None:
    body = literal(value)[1:-1]
    assert body.replace("\\\\", "").replace("\\'", "").count("'") == 0
