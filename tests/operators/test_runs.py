"""What the last task of a run makes of the states and results of the others."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_ingest import lakehouse
from airflow_ingest.lakehouse import Circuit, FailedLoad, RunInfo, Standing
from airflow_ingest.operators.runs import SeenRun, told_of_run, with_error

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
    step = "orders.quality_gate"
    given_up = FailedLoad(table="orders", step=step, run_id="r", attempts=3, kind="KeyError", error="x")
    record = seen(LOST, {"ingest_bronze": LOADED}).table("orders")
    others = [given_up.model_copy(update=other) for other in ({"run_id": "other"}, {"step": "gold.orders"})]
    found = with_error(record, [*others, given_up])
    assert (found.error, found.attempts) == ("KeyError: x", 3)
    assert with_error(record, []) == record
    told = with_error(record, others, ["gold.orders", "orders.wait_for_source"]).error
    assert told == "orders.wait_for_source failed, and the log says why"


@pytest.mark.parametrize(
    ("states", "results", "name", "version"),
    [
        pytest.param(GOOD, {"ingest_bronze": {"version": 3}, "merge_silver": {"version": 7}}, "orders", 7, id="silver"),
        pytest.param(LOST, {"ingest_bronze": {"version": 3}}, "orders", None, id="not merged"),
        pytest.param({"ingest_bronze": "success"}, {"ingest_bronze": {"version": 3}}, "orders", 3, id="bronze alone"),
        pytest.param({"gold.total": "success"}, {"gold.total": {"version": 2}}, "gold.total", 2, id="gold"),
        pytest.param({"gold.total": "skipped"}, {}, "gold.total", None, id="nothing new"),
    ],
)
def test_the_version_that_a_run_published(
    states: dict[str, str], results: dict[str, Any], name: str, version: int | None
) -> None:
    assert seen(states, results).version(name) == version


def test_what_a_run_tells_of_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def stand(_spark: Any, _lake: Any, names: list[str]) -> dict[str, Standing]:
        asked.extend(names)
        return {name: Standing(open_letters=2, watermark="17") for name in names}

    monkeypatch.setattr(lakehouse, "standings", stand)
    of_run = seen({**GOOD, "gold.total": "success"}, {"merge_silver": {**MERGED, "version": 7}})
    idle = seen(dict.fromkeys(GOOD, "skipped")).table("orders").model_copy(update={"table": "idle"})

    told = told_of_run(None, None, of_run, [of_run.table("orders"), idle, of_run.gold("total")])  # type: ignore[arg-type]

    assert asked == ["orders"], "a table with which the run did nothing stands where it stood"
    assert {"status": "loaded", "version": 7, "open_letters": 2, "held": 0, "watermark": "17"}.items() <= told[
        "orders"
    ].items()
    assert "open_letters" not in told["idle"]
    assert sorted(told) == ["gold.total", "idle", "orders"]
