"""Which columns an expression reads, and where it can lose a value."""

from __future__ import annotations

import pytest

from airflow_ingest.lakehouse.expressions import losses, source_columns


@pytest.mark.parametrize(
    ("expression", "columns"),
    [
        ("make_date(int(year), int(month), 1)", {"year", "month"}),
        ("`a b`.c + upper(`x.y`)", {"a b", "x.y"}),
        ("transform(items, i -> i + offset)", {"items", "offset"}),
        ("current_date()", set[str]()),
        ("CASE WHEN a THEN b ELSE 'c' END", {"a", "b"}),
    ],
    ids=["functions", "quoted and nested", "lambda", "none", "case"],
)
def test_source_columns(expression: str, columns: set[str]) -> None:
    assert source_columns(expression) == columns


@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("int(x)", ["CAST(x AS INT)"]),
        ("a + int(b)", ["a + CAST(b AS INT)", "CAST(b AS INT)"]),
        ("make_date(y, 1, 1)", ["MAKE_DATE(y, 1, 1)"]),
        ("to_date(x, 'yyyy')", ["TO_DATE(x, 'yyyy')"]),
        ("coalesce(int(x), 0)", []),
        ("CASE WHEN x RLIKE '^[0-9]+$' THEN int(x) END", []),
        ("try_cast(x AS int)", []),
        ("try_divide(a, b)", []),
        ("upper(trim(x))", []),
    ],
    ids=[
        "cast",
        "nested",
        "date from parts",
        "date from text",
        "coalesce",
        "case",
        "try_cast",
        "try function",
        "total",
    ],
)
def test_losses_name_the_part_that_can_have_no_value(expression: str, parts: list[str]) -> None:
    assert [loss.sql for loss in losses(expression)] == parts


def test_a_loss_is_operands_without_a_value() -> None:
    assert losses("int(x)")[0].condition == "((x) IS NOT NULL AND (try_cast(x AS INT)) IS NULL)"
