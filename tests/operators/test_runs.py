"""What the last task of a run makes of the states and results of the others."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_ingest.lakehouse import Circuit, FailedLoad, RunInfo
from airflow_ingest.operators.runs import SeenRun, with_error

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
BATCH = {
    "table": "orders",
    "id": "b1",
    "generation": 1,
    "run_id": "r",
    "processing_date": "2026-01-01",
}
LOADED = {"status": "loaded", "batch": BATCH, "rows": {"read": 5, "inserted": 5}, "seconds": 1.0, "attempt": 2}
PASSED = {"decision": "pass", "batch": BATCH, "rows": {"read": 5, "rejected": 1}, "reasons": [], "seconds": 0.5}
MERGED = {"status": "loaded", "batch": BATCH, "rows": {"read": 5, "rejected": 1, "inserted": 4}, "seconds": 2.0}
HELD = {**PASSED, "decision": "block", "reasons": ["rule row_count: 5 rows, expected 9.."]}


def seen(states: dict[str, str], results: dict[str, Any] | None = None) -> SeenRun:
    found = {named(task): state for task, state in states.items()}
    known = {named(task): value for task, value in (results or {}).items()}
    return SeenRun(RunInfo(pipeline="shop", run_id="r"), NOON, found, known.get)


def named(task: str) -> str:
    return task if "." in task or task == "check_circuit" else f"orders.{task}"


OPEN = Circuit(state="open", failures=2, since=NOON, next_trial=NOON, reason="two bad runs")
GOOD = {"ingest_bronze": "success", "quality_gate": "success", "merge_silver": "success", "hold_batch": "skipped"}
LOST = {**GOOD, "quality_gate": "failed", "merge_silver": "upstream_failed", "hold_batch": "upstream_failed"}


@pytest.mark.parametrize(
    ("states", "results", "status", "rows"),
    [
        pytest.param(
            GOOD,
            {"ingest_bronze": LOADED, "quality_gate": [PASSED], "merge_silver": MERGED},
            "loaded",
            (5, 4, 1),
            id="merged",
        ),
        pytest.param(
            {**GOOD, "merge_silver": "skipped", "hold_batch": "failed"},
            {"ingest_bronze": LOADED, "quality_gate": [HELD]},
            "held",
            (5, 0, 1),
            id="held",
        ),
        pytest.param(LOST, {"ingest_bronze": LOADED}, "failed", (5, 0, 0), id="a step failed"),
        pytest.param(
            {**dict.fromkeys(GOOD, "upstream_failed"), "wait_for_source": "failed"},
            {},
            "failed",
            (0, 0, 0),
            id="no file",
        ),
        pytest.param(dict.fromkeys(GOOD, "upstream_failed"), {}, "not run", (0, 0, 0), id="another table failed"),
        pytest.param({**dict.fromkeys(GOOD, "skipped")}, {}, "skipped", (0, 0, 0), id="nothing to load"),
        pytest.param(
            {"check_circuit": "success", **dict.fromkeys(GOOD, "skipped")},
            {"check_circuit": OPEN.to_dict()},
            "stopped",
            (0, 0, 0),
            id="circuit open",
        ),
        pytest.param(
            {"check_circuit": "success", **dict.fromkeys(GOOD, "skipped")},
            {"check_circuit": Circuit().to_dict()},
            "skipped",
            (0, 0, 0),
            id="nothing to load behind a closed circuit",
        ),
        pytest.param(
            {"check_circuit": "success", **dict.fromkeys(GOOD, "skipped")},
            {"check_circuit": OPEN.model_copy(update={"state": "half-open", "trial": "r"}).to_dict()},
            "skipped",
            (0, 0, 0),
            id="nothing to load in a trial",
        ),
        pytest.param({"ingest_bronze": "success"}, {"ingest_bronze": LOADED}, "loaded", (5, 5, 0), id="bronze alone"),
        pytest.param(
            {"check_circuit": "success", **GOOD},
            {
                "check_circuit": OPEN.to_dict(),
                "ingest_bronze": LOADED,
                "quality_gate": [PASSED],
                "merge_silver": MERGED,
            },
            "loaded",
            (5, 4, 1),
            id="stopped first, then cleared below the check",
        ),
    ],
)
def test_what_a_run_did_with_a_table(
    states: dict[str, str], results: dict[str, Any], status: str, rows: tuple[int, int, int]
) -> None:
    found = seen(states, results).table("orders")
    assert (found.status, (found.rows.read, found.rows.written, found.rows.rejected)) == (status, rows)
    assert (found.error == "rule row_count: 5 rows, expected 9..") is (status == "held")


def test_a_table_that_took_several_batches_counts_them_all() -> None:
    others = [{**MERGED, "batch": {**BATCH, "id": name}} for name in ("b0", "b1")]
    gates = [{**PASSED, "batch": {**BATCH, "id": "b0"}}, PASSED]
    results = {"ingest_bronze": LOADED, "quality_gate": gates, "merge_silver": {**MERGED, "loads": others}}
    found = seen(GOOD, results).table("orders")
    assert (found.rows.inserted, found.rows.unaccounted, found.attempts, found.seconds) == (8, 0, 2, 6.0)


@pytest.mark.parametrize(
    ("state", "result", "status"),
    [
        ("success", {"status": "loaded", "rows": {"inserted": 3}}, "loaded"),
        ("skipped", None, "unchanged"),
        ("failed", None, "failed"),
        ("upstream_failed", None, "not run"),
    ],
)
def test_what_a_run_did_with_a_gold_table(state: str, result: dict[str, Any] | None, status: str) -> None:
    found = seen({"gold.total": state}, {"gold.total": result}).gold("total")
    assert (found.table, found.status) == ("gold.total", status)


def test_what_went_wrong_is_found_among_the_loads_that_were_given_up() -> None:
    given_up = FailedLoad(table="orders", step="gate", run_id="r", attempts=3, kind="KeyError", error="x")
    record = seen(LOST, {"ingest_bronze": LOADED}).table("orders")
    found = with_error(record, [given_up.model_copy(update={"run_id": "other"}), given_up])
    assert (found.error, found.attempts) == ("KeyError: x", 3)
    assert with_error(record, []) == record
