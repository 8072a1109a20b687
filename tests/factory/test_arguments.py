"""The blocks `dag` and `task`, checked against Airflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_ingest.config import ConfigError
from tests.factory.conftest import small

if TYPE_CHECKING:
    from airflow.sdk import DAG

CASES = [
    pytest.param(
        "dag: {dagrun_timeot: 6h}",
        ':7: dag.dagrun_timeot: Airflow\'s DAG has no argument "dagrun_timeot"\n    Did you mean "dagrun_timeout"?',
        id="unknown-dag-argument",
    ),
    pytest.param(
        "task: {pol: spark}",
        ':8: task.pol: Airflow\'s BaseOperator has no argument "pol"\n    Did you mean "pool"?',
        id="unknown-task-argument",
    ),
    pytest.param(
        "dag: {catchup: true}",
        ":7: dag.catchup: catchup has a key of its own in this language\n    Write it as the key catchup.",
        id="dag-argument-with-a-key",
    ),
    pytest.param(
        "task: {retries: 3}",
        ":8: task.retries: retries has a key of its own in this language\n    Write it as retries: {attempts: 3}.",
        id="task-argument-with-a-key",
    ),
    pytest.param(
        "task: {trigger_rule: all_done}",
        ":8: task.trigger_rule: trigger_rule is set by the pipeline's graph\n    Remove it.",
        id="graphs-own",
    ),
    pytest.param(
        "task: {on_failure_callback: mine.tell}",
        "task.on_failure_callback: on_failure_callback takes a Python object, which a YAML file cannot hold",
        id="python-object",
    ),
    pytest.param(
        "task: {email_on_failure: true}",
        "task.email_on_failure: email_on_failure is gone from Airflow 3\n    Use alerts.",
        id="gone",
    ),
    pytest.param("dag: {dagrun_timeout: 6}", "dag.dagrun_timeout: 6 is not a duration", id="duration"),
    pytest.param("dag: {end_date: soon}", 'dag.end_date: "soon" is not a date', id="date"),
    pytest.param("dag: {max_active_tasks: many}", 'must be a whole number, not "many"', id="whole-number"),
    pytest.param("task: {depends_on_past: 1}", "must be true or false, not 1", id="boolean"),
    pytest.param("task: {queue: [a]}", "must be a text, not a list", id="text"),
]


@pytest.mark.parametrize(("block", "message"), CASES)
def test_a_mistake_is_told_with_its_place(build: Callable[..., DAG], tmp_path: Path, block: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(small(extra=f"{block}\n"))

    line = len(small().splitlines()) + 1
    assert str(caught.value).startswith(f"{tmp_path / 'shop.yaml'}:{line}:")
    assert message in str(caught.value)


def test_all_mistakes_are_told_at_once(build: Callable[..., DAG]) -> None:
    with pytest.raises(ConfigError) as caught:
        build(small(extra="dag: {catchup: true, tags: [a]}\ntask: {retries: 1, pol: x}\n"))

    assert [mistake.path for mistake in caught.value.mistakes] == [
        "dag.catchup",
        "dag.tags",
        "task.retries",
        "task.pol",
    ]


def test_every_refused_argument_is_one_of_airflows() -> None:
    """A name that Airflow no longer has would be a dead entry in the table."""
    from airflow.sdk import DAG, BaseOperator

    from airflow_ingest.factory.arguments import _kinds
    from airflow_ingest.factory.refused import REFUSED

    assert REFUSED["dag"].keys() <= _kinds(DAG).keys()
    assert REFUSED["task"].keys() <= _kinds(BaseOperator).keys()
