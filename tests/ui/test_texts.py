"""Numbers and times in few words, and small charts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_ingest.ui.status import texts
from airflow_ingest.ui.status.charts import bars
from airflow_ingest.ui.status.sla import about

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "just now"),
        (45, "45 s ago"),
        (119, "119 s ago"),
        (7199, "119 min ago"),
        (172_800, "2 d ago"),
        (-600, "in 10 min"),
    ],
)
def test_ago(seconds: float, told: str) -> None:
    assert texts.ago(NOON - timedelta(seconds=seconds), NOON) == told


@pytest.mark.parametrize(
    ("number", "told"),
    [(0, "0"), (999, "999"), (1000, "1k"), (12_345, "12.3k"), (999_949, "1M"), (4_500_000, "4.5M"), (2 * 10**9, "2G")],
)
def test_count(number: int, told: str) -> None:
    assert texts.count(number) == told


@pytest.mark.parametrize(("rate", "told"), [(0, "0%"), (0.0004, "<0.1%"), (0.0258, "2.58%"), (1, "100%")])
def test_share(rate: float, told: str) -> None:
    assert texts.share(rate) == told


@pytest.mark.parametrize(
    ("seconds", "told"), [(45, "45 s"), (5400, "90 min"), (7200, "2 h"), (86_400, "1 d"), (0.5, "0.5 s")]
)
def test_span(seconds: float, told: str) -> None:
    assert texts.span(seconds) == told


@pytest.mark.parametrize(
    ("watermark", "told"),
    [
        ("2026-01-02T00:00:00+02:00", "2026-01-01 22:00"),
        ("2026-01-02T03:04:05.678", "2026-01-02 03:04"),
        ("2026-01-02", "2026-01-02"),
        ("20260102", "20260102"),
        ("17", "17"),
    ],
)
def test_mark(watermark: str, told: str) -> None:
    assert texts.mark(watermark) == told


@pytest.mark.parametrize(
    ("alert", "table"),
    [
        ("sla", None),
        ("sla of orders", "orders"),
        ("shop.orders", "orders"),
        ("shop.gold.revenue", "gold.revenue"),
        ("reorders", None),
        ("", None),
    ],
)
def test_an_alert_is_about_the_table_that_its_name_ends_with(alert: str, table: str | None) -> None:
    assert about(alert, {"orders", "gold.revenue", "revenue"}) == table


def test_bars_stand_at_the_right_and_the_highest_fills_the_chart() -> None:
    drawn = bars([10, 0, 5], [False, False, True], 'a "label"', room=5)
    assert 'aria-label="a &quot;label&quot;"' in drawn
    assert '<path class="bar" d="M6 22v-22h2V22z"/>' in drawn
    assert '<path class="bar bad" d="M12 22v-11h2V22z"/>' in drawn
    assert bars([0.01], [False], "", room=1, least=0.05).count("v-4.4h") == 1
