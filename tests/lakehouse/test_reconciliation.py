"""Numbers that do not add up are an error: of the gate, of the merge and of a replay."""

from __future__ import annotations

import pytest

from airflow_ingest.lakehouse import ReconciliationError, RowCounts, replay, replay_dlq
from airflow_ingest.lakehouse.silver.account import reconcile
from airflow_ingest.lakehouse.silver.judged import published_rows
from tests.lakehouse.conftest import Workbench, csv_table, run
from tests.lakehouse.test_model import BATCH

TABLE = csv_table({"sequence_by": []}, quality={"max_reject_rate": "100%"})
DAY = "id,amount,note\n1,1,a\n2,2,b\n3,x,c\n"


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(RowCounts(read=3, inserted=2), id="a row is lost"),
        pytest.param(RowCounts(read=3, inserted=2, unchanged=2), id="a row is invented"),
        pytest.param(RowCounts(read=3, inserted=4, superseded=-1), id="fewer rows than none"),
    ],
)
@pytest.mark.parametrize(("complete", "whose"), [(True, "the gate's"), (False, "the merge's")], ids=["gate", "merge"])
def test_an_account_that_does_not_add_up_is_told(counts: RowCounts, complete: bool, whose: str) -> None:
    with pytest.raises(ReconciliationError, match=rf"/lake/t, batch \w+: by {whose} account 3 rows were read, but"):
        reconcile("/lake/t", BATCH, counts, complete=complete)


@pytest.mark.spark
def test_what_is_lost_on_its_way_is_an_error(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = bench.gate(TABLE, bench.ingest(TABLE, bench.write("x.csv", DAY)))
    with monkeypatch.context() as losing:
        losing.setattr(
            "airflow_ingest.lakehouse.silver.merge.published_rows", lambda *args: published_rows(*args).where("id <> 2")
        )
        with pytest.raises(ReconciliationError, match="by the gate's account 3 rows were read, but 2 are accounted"):
            bench.merge(TABLE, gate)

    tally = replay._tally
    monkeypatch.setattr(replay, "_tally", lambda verdicts: {**tally(verdicts), "tried": 2, "replayed": 2})
    with pytest.raises(ReconciliationError, match=r"2 dead letters were tried .* but 1 are marked"):
        replay_dlq(bench.spark, bench.lake, "orders", TABLE, run(9), fix={"amount": "'3'"})
