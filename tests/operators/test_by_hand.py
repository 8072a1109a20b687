"""What the operators behind the forms do with what people have typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from airflow_ingest import hooks, lakehouse
from airflow_ingest.lakehouse import LoadResult, ReplayResult
from airflow_ingest.operators.by_hand import ReplayLettersOperator
from tests.factory.conftest import small

NOTHING: dict[str, Any] = {
    "rule": None,
    "since": None,
    "ids": [],
    "limit": None,
    "batch_size": 10,
    "dry_run": False,
    "fix": {},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the lakehouse is asked for, in an empty lake."""
    seen: list[dict[str, Any]] = []

    def replay(_: object, lake: Any, name: str, table: Any, run: Any, **choice: Any) -> ReplayResult:
        seen.append(choice)
        return ReplayResult(table=name, dry_run=choice["dry_run"])

    def refresh(_: object, lake: Any, name: str, *__: Any) -> LoadResult:
        seen.append({"gold": name})
        return LoadResult(step="gold", table=name, status="unchanged")

    @contextmanager
    def no_spark() -> Iterator[None]:
        yield None

    monkeypatch.setattr(hooks, "SparkDeltaHook", lambda *_, **__: SimpleNamespace(session=no_spark))
    monkeypatch.setattr(lakehouse, "replay_dlq", replay, raising=False)
    monkeypatch.setattr(lakehouse, "refresh_gold", refresh, raising=False)
    rules = [SimpleNamespace(rule="positive"), SimpleNamespace(rule="cast")]
    monkeypatch.setattr(lakehouse, "letters_by_rule", lambda *_: rules, raising=False)
    return seen


def replayed(folder: Path, *, attempt: int = 1, **typed: Any) -> list[str]:
    """Replays as a form says; returns the assets that are told of a change."""
    file = folder / "shop.yaml"
    file.write_text(small())
    told: list[str] = []
    operator = ReplayLettersOperator(task_id="replay", files={"shop": str(file)})
    alias = SimpleNamespace(add=lambda asset, extra: told.append(asset.name))
    run = SimpleNamespace(run_id="r", run_type="manual", data_interval_start=None, data_interval_end=None)
    context: Any = {
        "params": {"table": "shop.orders", **NOTHING, **typed},
        "dag_run": run,
        "ti": SimpleNamespace(try_number=attempt),
        "outlet_events": {operator.outlets[0]: alias},
    }
    operator.execute(context)
    return told


def test_the_time_that_a_browser_sends_is_understood(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    replayed(tmp_path, since="2026-01-02T03:04:05.000Z")
    assert asked[0]["since"] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def test_a_time_that_lies_ahead_is_refused(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    with pytest.raises(AirflowFailException, match="lies ahead"):
        replayed(tmp_path, since="2999-01-01T00:00:00Z")
    assert asked == []


def test_a_rule_that_has_rejected_nothing_is_answered_with_the_nearest(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    with pytest.raises(AirflowFailException, match='Did you mean "positive"'):
        replayed(tmp_path, rule="postive")
    assert replayed(tmp_path, rule="cast") == []


def test_a_retry_that_finds_all_letters_tried_still_refreshes_gold_and_tells_of_silver(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    assert replayed(tmp_path, attempt=2) == ["shop.silver.orders"]
    assert asked[-1] == {"gold": "per_day"}


def test_a_dry_run_touches_no_gold(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    assert replayed(tmp_path, attempt=2, dry_run=True) == []
    assert len(asked) == 1
