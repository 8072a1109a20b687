"""The fields of a task's log lines."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.contextvars import bound_contextvars, get_contextvars

from airflow_ingest._logs import name_in_logs, name_task_in_logs
from airflow_ingest.operators._pins import TaskPins


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    with bound_contextvars(pipeline="", table="", batch_id="", run_id=""):
        yield


def test_a_task_begins_with_nothing_of_another() -> None:
    name_task_in_logs(pipeline="shop", run_id="r1", table="orders")
    name_in_logs(batch_id="b")

    name_task_in_logs(pipeline="shop", run_id="r2")

    assert get_contextvars() == {"pipeline": "shop", "run_id": "r2"}


def test_what_is_not_known_stays_as_it_is() -> None:
    name_task_in_logs(pipeline="shop", run_id="r", table="orders")
    name_in_logs(batch_id="b")

    name_in_logs()

    assert get_contextvars() == {"pipeline": "shop", "run_id": "r", "table": "orders", "batch_id": "b"}


class Store:
    """In the place of Airflow's task state store."""

    def __init__(self, kept: object = None) -> None:
        self.kept = kept

    def get(self, _: str) -> object:
        return self.kept

    def set(self, _: str, value: object) -> None:
        self.kept = value


def test_the_lines_name_the_batch_as_soon_as_it_is_planned() -> None:
    pins = TaskPins({"ti": None, "task_state_store": Store()})  # type: ignore[typeddict-item]

    pins.put("gold", 7)
    assert get_contextvars()["batch_id"] == ""

    pins.put("plan", {"id": "abc"})
    assert get_contextvars()["batch_id"] == "abc"


def test_a_retry_names_the_batch_that_it_finds_planned() -> None:
    kept = {"tries": 0, "value": {"id": "abc"}}
    pins = TaskPins({"ti": None, "task_state_store": Store(kept)})  # type: ignore[typeddict-item]

    assert pins.take("plan") == {"id": "abc"}
    assert get_contextvars()["batch_id"] == "abc"
