"""What was decided about a batch."""

from __future__ import annotations

from datetime import date

import pytest

from airflow_ingest.lakehouse.batches import decision_on
from airflow_ingest.lakehouse.model import Batch

DECIDED = {("a", 5): ("held", "five"), ("a", 7): ("discarded", "seven"), ("b", 9): ("held", "nine")}


@pytest.mark.parametrize(
    ("id_", "generation", "decision"),
    [
        pytest.param("a", 5, ("held", "five"), id="of its generation"),
        pytest.param("a", 8, ("pending", ""), id="a newer generation has not been judged"),
        pytest.param("a", 0, ("discarded", "seven"), id="the last one where the log is gone"),
        pytest.param("c", 0, ("pending", ""), id="none"),
    ],
)
def test_a_decision_is_on_a_generation_of_a_batch(id_: str, generation: int, decision: tuple[str, str]) -> None:
    batch = Batch(table="t", id=id_, generation=generation, run_id="r", processing_date=date(2026, 1, 1))
    assert decision_on(batch, DECIDED) == decision
