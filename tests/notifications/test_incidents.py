"""What of a run people have to be told."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_ingest.lakehouse import TableRecord
from airflow_ingest.notifications.incidents import Incident, RunSeen, TableSeen, incidents

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
LOADED = {"status": "loaded", "batch": {"id": "b"}, "rows": {"read": 5}}


def record(table: str = "orders", status: Any = "loaded", error: str = "", attempts: int = 1) -> TableRecord:
    return TableRecord(table=table, run_id="r", started=NOON, ended=NOON, status=status, error=error, attempts=attempts)


def gate(decision: str = "warn", *reasons: str, rejected: int = 0, rules: Any = ()) -> dict[str, Any]:
    return {"decision": decision, "reasons": reasons, "rows": {"read": 100, "rejected": rejected}, "rules": rules}


def rule(name: str, kind: str, message: str = "broken", *, severity: str = "warning", passed: bool = False) -> Any:
    return {"name": name, "kind": kind, "severity": severity, "passed": passed, "message": message}


def told(*tables: TableSeen, **run: Any) -> dict[str, tuple[str, ...]]:
    return {found.event: found.facts for found in incidents(RunSeen(tables, **run))}


def test_of_a_run_that_is_well_there_is_nothing_to_tell() -> None:
    passed = [rule("late", "freshness", passed=True), rule("odd", "expect", severity="info")]
    assert told(TableSeen(record(), ingest=LOADED, gates=[gate("pass", rules=passed)])) == {}


def test_fifty_tables_that_fail_are_one_incident() -> None:
    tables = [TableSeen(record(f"t{n}", "failed", "ValueError: no", 3), failed=[f"t{n}.merge"]) for n in range(50)]
    tables.append(TableSeen(record("gold.g", "not run")))

    (found,) = incidents(RunSeen(tables))

    assert (found.event, found.headline) == ("failure", "t0, t1, t2 and 47 more failed")
    assert found.facts[0] == "t0: failed in t0.merge after 3 tries: ValueError: no"
    assert found.facts[-1] == "Not run because of that: gold.g."
    assert len(found.tables) == 50


def test_a_task_that_belongs_to_no_table_fails_a_run_too() -> None:
    (found,) = incidents(RunSeen([TableSeen(record(status="not run"))], failed=["check_circuit"]))
    assert found.headline == "check_circuit failed"
    assert found.facts == ("The task check_circuit failed, see its log.", "Not run because of that: orders.")


def test_errors_of_tables_with_masked_columns_stay_out_of_mails() -> None:
    error = "SparkRuntimeException: cannot cast '123-45-6789'"
    (fact,) = told(TableSeen(record(status="failed", error=error), secretive=True))["failure"]
    assert fact == "orders: failed: SparkRuntimeException, see the task's log"


def test_a_failure_of_which_nothing_is_written_down_is_told_all_the_same() -> None:
    (fact,) = told(TableSeen(record(status="failed"), failed=["orders.ingest_bronze"]))["failure"]
    assert fact == "orders: failed in orders.ingest_bronze: see the task's log"


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(TableSeen(record(status="held", error="rule row_count: 5 rows")), id="a batch is held"),
        pytest.param(
            TableSeen(record(status="failed", error="RulesBroken: rule row_count: 5 rows")), id="gold is not published"
        ),
        pytest.param(
            TableSeen(
                record(status="failed", error="AirflowFailException: rule row_count: 5 rows"),
                failed=["orders.quality_gate"],
            ),
            id="of a table that stops at bronze",
        ),
    ],
)
def test_a_blocked_gate_is_no_failure(table: TableSeen) -> None:
    assert told(table) == {"gate_error": ("orders: rule row_count: 5 rows",)}


def test_another_step_that_gives_up_is_a_failure() -> None:
    error = "AirflowFailException: no interval"
    assert list(told(TableSeen(record(status="failed", error=error), failed=["orders.ingest_bronze"]))) == ["failure"]


def test_warnings_of_the_gate_by_what_they_are() -> None:
    rules = [rule("odd", "expect", "3 rows break it"), rule("new", "freshness", "the newest day is 2025-01-01")]
    reasons = [
        "rule odd: 3 rows break it",
        "rule new: the newest day is 2025-01-01",
        "8.00% of the rows were rejected, more than 5.00%",
        "the source has no column 'x': it is NULL in this batch",
    ]
    found = told(TableSeen(record(), ingest=LOADED, gates=[gate("warn", *reasons, rejected=8, rules=rules)],
                           alert_reject_rate=0.05))  # fmt: skip
    assert found == {
        "high_reject_rate": ("orders: 8.00% of the rows were rejected (8 of 100), more than 5.00%",),
        "stale": ("orders: the newest day is 2025-01-01",),
        "gate_warning": (
            "orders: rule odd: 3 rows break it",
            "orders: the source has no column 'x': it is NULL in this batch",
        ),
    }


def test_rules_of_gold_warn_too() -> None:
    rules = [rule("few", "row_count", "1 row"), rule("old", "freshness", "old"), rule("i", "expect", severity="info")]
    assert told(TableSeen(record("gold.g"), rules=rules)) == {
        "stale": ("gold.g: old",),
        "gate_warning": ("gold.g: rule few: 1 row",),
    }


def test_a_blocked_batch_is_not_told_of_twice() -> None:
    held = TableSeen(
        record(status="held", error="90.00% of the rows were rejected, allowed 10.00%"),
        ingest=LOADED,
        gates=[gate("block", "90.00% of the rows were rejected, allowed 10.00%", rejected=90)],
        alert_reject_rate=0.05,
    )
    assert list(told(held)) == ["gate_error"]


@pytest.mark.parametrize(
    ("table", "live", "facts"),
    [
        pytest.param(
            TableSeen(record(), ingest={**LOADED, "rows": {"read": 0}}),
            False,
            ("orders: the source had no rows",),
            id="an empty interval",
        ),
        pytest.param(
            TableSeen(record(status="skipped"), skipped=True),
            True,
            ("orders: there was nothing new to load",),
            id="nothing new",
        ),
        pytest.param(
            TableSeen(record(), ingest={"batch": None, "rows": {"read": 0}, "reason": "none of the 3 files is new"}),
            True,
            ("orders: none of the 3 files is new",),
            id="nothing new, and something left to take",
        ),
        pytest.param(TableSeen(record(status="skipped"), skipped=True), False, None, id="a backfill was refused"),
        pytest.param(
            TableSeen(record(status="skipped"), skipped=True, chosen=False), True, None, id="a run for other tables"
        ),
        pytest.param(TableSeen(record(status="stopped"), skipped=True), True, None, id="stopped by the circuit"),
        pytest.param(TableSeen(record(status="not run"), skipped=False), True, None, id="another table failed"),
        pytest.param(TableSeen(record(), ingest=LOADED), True, None, id="data came"),
    ],
)
def test_no_data(table: TableSeen, live: bool, facts: tuple[str, ...] | None) -> None:
    assert told(table, takes_what_comes=live).get("no_data") == facts


OPEN = {"state": "open", "reason": "the circuit is open after 3 bad runs", "next_trial": "2026-01-01T12:30:00Z"}


@pytest.mark.parametrize(
    ("before", "after", "opened"),
    [
        pytest.param("closed", OPEN, True, id="it opened"),
        pytest.param("half-open", OPEN, False, id="a trial failed: it is as it was"),
        pytest.param("closed", {"state": "closed"}, False, id="closed"),
        pytest.param("closed", None, False, id="nobody knows"),
    ],
)
def test_the_circuit(before: str, after: Any, opened: bool) -> None:
    found = told(TableSeen(record(status="failed")), before={"state": before}, after=after)
    assert ("circuit_open" in found) is opened


def test_recovered_after_a_bad_run_and_not_by_a_stopped_one() -> None:
    well, bad, stopped = (TableSeen(record(status=status)) for status in ("loaded", "held", "stopped"))
    assert told(well, unwell_before=True) == {"recovered": ("What failed or was held before is well now.",)}
    assert list(told(bad, unwell_before=True)) == ["gate_error"]
    assert told(stopped, unwell_before=True) == {}
    runs = [RunSeen([table], unwell_before=True) for table in (well, bad, stopped)]
    assert [run.unwell for run in runs] == [False, True, True], "a stopped run hands on what was wrong before it"


def test_every_incident_says_what_to_do_or_that_there_is_nothing_to_do() -> None:
    tables = [TableSeen(record(status=status)) for status in ("failed", "held")]
    found: list[Incident] = list(incidents(RunSeen(tables, before={"state": "closed"}, after=OPEN)))
    assert [incident.event for incident in found] == ["failure", "gate_error", "circuit_open"]
    assert all(incident.advice for incident in found)
