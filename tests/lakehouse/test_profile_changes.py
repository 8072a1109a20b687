"""What a profile says of the one before."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_ingest.lakehouse import ColumnChange, ColumnProfile, TableProfile, changes_since

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def profile(version: int, rows: int, *columns: dict[str, Any]) -> TableProfile:
    at = NOW + timedelta(days=version)
    measured = tuple(ColumnProfile.model_validate({"type": "int", "nulls": 0, **column}) for column in columns)
    found: dict[str, Any] = {"committed": at, "at": at, "run_id": "r", "fingerprint": f"f{version}"}
    return TableProfile(table="silver.orders", version=version, rows=rows, columns=measured, **found)


def test_only_what_changed_is_told() -> None:
    before = profile(
        3,
        10,
        {"name": "same", "null_rate": 0.1, "distinct": 4, "min": "1"},
        {"name": "rate", "null_rate": 0.0, "distinct": 4},
        {"name": "kind"},
        {"name": "gone"},
    )
    now = profile(
        5,
        12,
        {"name": "same", "null_rate": 0.1, "distinct": 4, "min": "0"},
        {"name": "rate", "null_rate": 0.5, "distinct": 3},
        {"name": "kind", "type": "bigint"},
        {"name": "fresh"},
    )
    changes = changes_since(before, now)
    assert (changes.version, changes.at, changes.rows) == (3, before.at, (10, 12))
    assert changes.columns == (
        ColumnChange(name="rate", kind="changed", null_rate=(0.0, 0.5), distinct=(4, 3)),
        ColumnChange(name="kind", kind="changed", type=("int", "bigint")),
        ColumnChange(name="fresh", kind="added"),
        ColumnChange(name="gone", kind="removed"),
    )


def test_rows_that_came_into_an_empty_table_are_a_change() -> None:
    before, now = profile(0, 0, {"name": "a", "distinct": 0}), profile(1, 2, {"name": "a", "null_rate": 0.5})
    (change,) = changes_since(before, now).columns
    assert (change.null_rate, change.distinct) == ((None, 0.5), (0, None))


def test_values_that_were_shown_before_are_not_told_again() -> None:
    before = profile(0, 1, {"name": "salary", "min": "70000", "max": "70000", "distinct": 1})
    now = profile(1, 2, {"name": "salary", "hidden": True, "distinct": 2})
    assert "70000" not in str(changes_since(before, now).to_dict())
