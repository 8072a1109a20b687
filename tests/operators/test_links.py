"""Links of tasks in Airflow's UI."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_ingest.operators import QualityGateOperator


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("base_url", "root"),
    [("http://localhost:8080", ""), ("https://example.com/airflow/", "/airflow")],
    ids=["at the root", "below a path"],
)
def test_a_gate_links_to_its_report_wherever_airflow_lives(
    base_url: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    (link,) = QualityGateOperator.operator_extra_links
    key: Any = SimpleNamespace(dag_id="shop", task_id="orders/ü?.quality_gate")
    gate: Any = None

    assert link.get_link(gate, ti_key=key) == f"{root}/ingest/quality/shop/orders%2F%C3%BC%3F.quality_gate"
