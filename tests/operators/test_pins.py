"""A task's pins: kept for a retry, forgotten by a deliberate run, and never a reason to fail."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from airflow_ingest.operators._pins import TaskPins

pytestmark = pytest.mark.airflow


class Store(dict[str, Any]):
    """What a task instance keeps: `get` is a dict's, and a value goes through JSON in Airflow."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


class Broken:
    def get(self, key: str) -> Any:
        raise OSError("no connection")

    def set(self, key: str, value: Any) -> None:
        raise OSError("no connection")


def attempt(store: Any, *, max_tries: int = 2) -> TaskPins:
    return TaskPins(cast("Any", {"task_state_store": store, "ti": SimpleNamespace(max_tries=max_tries)}))


def test_a_retry_takes_what_was_put_once() -> None:
    store = Store()
    attempt(store).put("plan", {"id": "b1"})
    retry = attempt(store)
    assert retry.take("plan") == {"id": "b1"}
    assert retry.take("plan") is None


def test_what_an_attempt_puts_it_does_not_take_itself_again() -> None:
    pins = attempt(Store())
    assert pins.take("plan") is None
    pins.put("plan", 1)
    assert pins.take("plan") is None


def test_a_task_that_was_cleared_after_its_end_has_more_tries_and_plans_anew() -> None:
    store = Store()
    attempt(store).put("plan", 1)
    assert attempt(store, max_tries=5).take("plan") is None


@pytest.mark.parametrize("store", [None, Broken()], ids=["absent", "unreachable"])
def test_without_a_store_every_attempt_plans_for_itself(store: Any) -> None:
    pins = attempt(store)
    pins.put("plan", 1)
    assert pins.take("plan") is None
