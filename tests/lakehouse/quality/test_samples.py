"""How the rows that break a rule are shown."""

from __future__ import annotations

import json

import pytest

from airflow_ingest.lakehouse.quality.samples import shown


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"a": "Zürich 東京"}, "Zürich 東京"),
        ({"a": None}, "NULL"),
        ({"a": True}, "true"),
        ({"a": {"b": "ü"}}, '{"b": "ü"}'),
        ({"a": 1, "b": None}, '{"a": 1, "b": null}'),
        ({"a": "red\x1b[31m\nforged line"}, '"red\\u001b[31m\\nforged line"'),
        ({"a": "x\x9b31m", "b": 1}, '{"a": "x\\u009b31m", "b": 1}'),
    ],
    ids=["text", "null", "boolean", "nested", "several columns", "control characters", "among several columns"],
)
def test_a_sample_is_the_value_or_json_and_does_nothing_to_a_terminal(row: dict[str, object], text: str) -> None:
    assert shown([json.dumps(row, ensure_ascii=False)]) == (text,)


def test_the_same_row_is_shown_once_and_a_long_one_is_cut() -> None:
    same, long = json.dumps({"a": "x"}), json.dumps({"a": "y" * 500})
    assert shown([same, same, None, long]) == ("x", "y" * 200 + "…")
