"""The page with the history of rules."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_ingest.lakehouse.quality.report import report_page
from airflow_ingest.lakehouse.quality.trend import RuleHistory, RulePoint

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
EVIL = "<script>alert('x')</script>\"&"


def history(*values: float | None, **more: Any) -> RuleHistory:
    points = [
        RulePoint(at=NOON + n * timedelta(days=1), run_id=EVIL, passed=value != 9, value=value, rows_read=10, failing=3)
        for n, value in enumerate(values)
    ]
    return RuleHistory(**{"table": "orders", "rule": "r", "kind": "sql", "severity": "error", "points": points, **more})


class Tags(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        assert not [name for name, value in attrs if value and "alert" in value]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_users_wrote_stays_text_and_the_page_is_whole() -> None:
    point = history(9).points[0].model_copy(update={"message": EVIL, "sample": (EVIL,), "threshold": EVIL})
    page = report_page(EVIL, [history(1, table=EVIL, rule=EVIL, points=[point])], NOON)
    tags = Tags(page)
    assert tags.open == []
    assert "script" not in tags.names
    assert tags.text.count("<script>alert('x')</script>\"&") == 9
    assert not any(word in page for word in ("http:", "https:", "src=", "href=", "@import"))


def test_each_rule_has_a_chart_with_a_dot_for_each_batch_and_red_ones_where_it_was_broken() -> None:
    page = report_page("shop", [history(1, 2, 9, None), history(4, rule="other", table="gold.total")], NOON)
    assert (page.count("<circle"), page.count("<circle class=bad")) == (5, 1)
    assert "aria-label='4 batches, between 0.3 and 9, 1 broken'" in page
    assert page.count("<h2>") == 2


@pytest.mark.parametrize(
    ("value", "threshold", "bounds"),
    [
        (0.2, "0.1", (0.1,)),
        (3.0, "2..", (2.0,)),
        (3.0, "-1.5..1e+06", (-1.5, 1e6)),
        (60.0, "2h", (7200.0,)),
        (3.0, "1 earlier values", ()),
        (None, "", (0.0,)),
        (None, "true", ()),
    ],
)
def test_a_chart_has_a_line_for_each_bound_that_is_a_number(
    value: float | None, threshold: str, bounds: tuple[float, ...]
) -> None:
    point = RulePoint(at=NOON, run_id="r", passed=True, value=value, threshold=threshold, rows_read=10)
    assert point.bounds == bounds
    page = report_page("shop", [history(1, points=[point])], NOON)
    assert page.count("<line ") == len(bounds)


def test_a_dot_beyond_what_is_allowed_is_above_its_line() -> None:
    points = [
        RulePoint(at=NOON, run_id="r", passed=value <= 5, value=value, threshold="5", rows_read=10)
        for value in (1.0, 9.0)
    ]
    page = report_page("shop", [history(1, points=points)], NOON)
    (line,) = re.findall(r"<line [^>]*y1='([\d.]+)'", page)
    below, above = re.findall(r"cy='([\d.]+)'", page)
    assert float(above) < float(line) < float(below)


def test_every_column_of_every_table_has_a_head() -> None:
    page = report_page("shop", [history(1, 2)], NOON)
    assert page.count("<table>") == page.count("<thead>") == 2
    assert page.count("scope='col'") == 6 + 4


def test_without_rules_there_is_a_page_that_says_so() -> None:
    assert "0 rules, 0 of them broken" in report_page("shop", [], NOON)
