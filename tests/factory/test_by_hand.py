"""The DAGs with forms: what they let people choose, and that a task of theirs reads nobody's model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.factory import ByHand, load_dags
from tests.factory.conftest import small

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

Bag = Callable[[], "DagBag"]
APPENDED = "  visits:\n    source: {files: in/visits.json, format: json}\n    silver: {load: append}\n"


def schema(dag: Any, param: str) -> dict[str, Any]:
    found: dict[str, Any] = dag.params.get_param(param).schema
    return found


def test_the_forms_offer_the_tables_that_they_are_for(folder: Path, bag: Bag) -> None:
    (folder / "mill.yaml").write_text(small("mill").replace("gold:", f"{APPENDED}gold:"))
    (folder / "bad.yaml").write_text("nonsense")

    dags: Any = bag().dags

    assert schema(dags["ingest_dlq_replay"], "table")["enum"] == ["mill.orders", "shop.orders"]
    assert schema(dags["ingest_held_batches"], "table")["enum"] == ["mill.orders", "mill.visits", "shop.orders"]
    task = dags["ingest_dlq_replay"].get_task("replay")
    assert task.files == {"mill": str(folder / "mill.yaml"), "shop": str(folder / "shop.yaml")}
    assert [dag.schedule for dag in dags.values() if "by hand" in dag.tags] == [None, None]


def test_the_form_for_dead_letters_asks_for_all_that_a_replay_takes(bag: Bag) -> None:
    dag: Any = bag().dags["ingest_dlq_replay"]

    defaults = {name: dag.params[name] for name in dag.params}
    assert defaults == {
        "table": "shop.orders",
        "dry_run": False,
        "fix": {},
        "rule": None,
        "since": None,
        "ids": [],
        "limit": None,
        "batch_size": 10_000,
    }
    assert schema(dag, "since")["format"] == "date-time"
    assert schema(dag, "batch_size")["minimum"] == 1


def test_a_reason_is_needed_to_decide_about_a_held_batch(bag: Bag) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    dag: Any = bag().dags["ingest_held_batches"]
    dag.params["reason"] = "seen"
    assert schema(dag, "decision")["enum"] == ["release", "discard"]
    with pytest.raises(ParamValidationError):
        dag.params["reason"] = ""


def test_a_loader_names_them_or_leaves_them_out(folder: Path) -> None:
    assert "ingest_dlq_replay" not in load_dags(folder, by_hand=None)
    named = load_dags(folder, by_hand=ByHand(replay="again", held="held"), maintenance=None)
    assert sorted(named) == ["again", "held", "shop"]


def test_a_task_of_theirs_reads_no_pipeline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "shop.yaml").write_text("nonsense")
    for dag_id, task_id in (("ingest_dlq_replay", "replay"), ("ingest_held_batches", "decide")):
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)
        dag: Any = load_dags(folder)[dag_id]
        assert dag.get_task(task_id).files == {"shop": str(folder / "shop.yaml")}
        assert "enum" not in schema(dag, "table")


def test_a_pipeline_cannot_have_one_of_their_names(folder: Path, bag: Bag) -> None:
    (folder / "ingest_dlq_replay.yaml").write_text(small("ingest_dlq_replay"))
    (error,) = bag().import_errors.values()
    assert "ingest_dlq_replay is the id of the DAG that replays dead letters" in error
