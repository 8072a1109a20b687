"""The circuit breaker: what follows from how the last runs ended, and what runs write down of themselves."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_ingest.config import CircuitBreaker
from airflow_ingest.lakehouse import (
    Lake,
    RowCounts,
    RunInfo,
    TableRecord,
    circuit,
    pass_circuit,
    read_circuit,
    record_runs,
    reset_circuit,
    run_history,
    runs,
)
from airflow_ingest.lakehouse.circuit import Circuit, Event, RunOutcome, circuit_of
from airflow_ingest.lakehouse.ops import append_rows
from airflow_ingest.runtime import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOON = datetime.now(timezone.utc).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)
MINUTE = timedelta(minutes=1)
BREAKER = CircuitBreaker(failures=3, reset_after=timedelta(minutes=30))


def outcomes(*ends: str) -> list[RunOutcome]:
    """Runs that ended a minute apart before noon, the newest first; `x` was bad."""
    wrong = {"x": "orders failed", ".": ""}
    return [RunOutcome(f"run {n}", NOON - n * MINUTE, wrong[end]) for n, end in enumerate(ends)]


@pytest.mark.parametrize(
    ("ends", "events", "minutes", "state", "stopped"),
    [
        pytest.param("", [], 0, "closed", False, id="nothing has run"),
        pytest.param("xx", [], 0, "closed", False, id="too few to tell"),
        pytest.param("xx.x", [], 0, "closed", False, id="a good run between"),
        pytest.param("xxx", [], 29, "open", True, id="three in a row"),
        pytest.param("xxx", [], 30, "half-open", False, id="its time is over"),
        pytest.param("xxx", [("trial", 30, "other")], 31, "half-open", True, id="another run tries"),
        pytest.param("xxx", [("trial", 30, "me")], 31, "half-open", False, id="this run tries"),
        pytest.param("xxx", [("trial", 30, "lost")], 61, "half-open", False, id="a trial that is never heard of again"),
        pytest.param("xxx", [("trial", 30, "lost"), ("trial", 61, "2")], 62, "half-open", True, id="the one after it"),
        pytest.param("xxx", [("trial", -5, "other")], 31, "half-open", False, id="a trial of last time"),
        pytest.param("xxx", [("reset", 1, "by hand")], 2, "closed", False, id="closed by hand"),
        pytest.param("xxx", [("reset", -9, "by hand")], 2, "open", True, id="closed by hand before"),
    ],
)
def test_the_state_follows_from_runs_and_events(
    ends: str, events: list[tuple[Any, int, str]], minutes: int, state: str, stopped: bool
) -> None:
    known = [Event(kind, NOON + at * MINUTE, run) for kind, at, run in events]
    found = circuit_of(outcomes(*ends), known, BREAKER, NOON + minutes * MINUTE)
    assert (found.state, bool(found.stops("me"))) == (state, stopped)


@dataclass
class Machine:
    """The breaker as textbooks draw it: a state that changes with each run."""

    breaker: CircuitBreaker
    failures: int = 0
    opened: datetime | None = None
    runs: list[RunOutcome] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def lets_through(self, now: datetime) -> bool:
        return self.opened is None or now >= self.opened + self.breaker.reset_after

    def ended(self, now: datetime, bad: bool) -> None:
        self.failures = self.failures + 1 if bad else 0
        self.opened = now if self.failures >= self.breaker.failures else None

    def reset(self) -> None:
        self.failures, self.opened = 0, None


@given(
    failures=st.integers(1, 4),
    steps=st.lists(
        st.tuples(st.sampled_from(["good", "bad", "bad", "reset", "wait"]), st.integers(1, 40)), max_size=30
    ),
)
def test_it_does_what_a_machine_with_a_state_would_do(failures: int, steps: list[tuple[str, int]]) -> None:
    breaker = CircuitBreaker(failures=failures, reset_after=timedelta(minutes=30))
    machine, now = Machine(breaker), NOON
    for number, (step, minutes) in enumerate(steps):
        now += minutes * MINUTE
        run = f"run {number}"
        if step == "reset":
            machine.reset()
            machine.events.append(Event("reset", now, run))
        elif step != "wait":
            found = circuit_of(machine.runs[:failures], machine.events, breaker, now)
            assert bool(found.stops(run)) is not machine.lets_through(now)
            if machine.lets_through(now):
                if found.state == "half-open":
                    machine.events.append(Event("trial", now, run))
                now += MINUTE
                machine.runs.insert(0, RunOutcome(run, now, "failed" if step == "bad" else ""))
                machine.ended(now, step == "bad")


@pytest.mark.spark
def test_runs_open_it_a_trial_keeps_others_out_and_a_hand_closes_it(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "lake"), "shop")
    breaker = CircuitBreaker(failures=2, reset_after=timedelta(seconds=1), max_reject_rate=0.5)
    assert read_circuit(spark, lake, breaker) == Circuit()

    record(spark, lake, "first", ended=NOON, status="failed", error="KeyError: x\nand a trace")
    record(spark, lake, "by hand", ended=NOON + MINUTE, kind="backfill", status="loaded")
    record(spark, lake, "second", ended=NOON + 2 * MINUTE, status="loaded", rows=RowCounts(read=10, rejected=6))
    found = pass_circuit(spark, lake, breaker, RunInfo(pipeline="shop", run_id="third"))

    assert (found.state, found.trial, found.stops("third")) == ("half-open", "third", "")
    assert "the last of them second: orders rejected 60.00% of its rows" in found.reason
    assert "third is trying" in pass_circuit(spark, lake, breaker, RunInfo(pipeline="shop", run_id="4th")).stops("4th")
    backfill = RunInfo(pipeline="shop", run_id="b", kind="backfill")
    assert pass_circuit(spark, lake, breaker, backfill) == Circuit()

    record(spark, lake, "third", ended=datetime.now(timezone.utc), status="failed", error="still")
    assert read_circuit(spark, lake, CircuitBreaker(failures=2, max_reject_rate=0.5)).state == "open"
    reset_circuit(spark, lake, "somebody", "the source is mended")
    assert read_circuit(spark, lake, breaker) == Circuit()


@pytest.mark.spark
def test_of_runs_at_the_same_moment_one_tries_also_after_a_trial_that_died(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, breaker = Lake(str(tmp_path / "lake"), "shop"), CircuitBreaker(failures=1, reset_after=30 * MINUTE)
    record(spark, lake, "first", ended=NOON, status="failed", error="the source is away")
    monkeypatch.setattr(circuit, "datetime", clock_at(NOON + 31 * MINUTE))
    assert pass_circuit(spark, lake, breaker, RunInfo(pipeline="shop", run_id="died")).trial == "died"
    monkeypatch.setattr(circuit, "datetime", clock_at(NOON + 62 * MINUTE))
    both, read = Barrier(2), circuit.read_circuit

    def read_together(*args: Any) -> Circuit:
        found = read(*args)
        if not found.trial:
            both.wait(60)  # until both have seen that nobody tries
        return found

    def stopped(run_id: str) -> str:
        with session() as own:
            return pass_circuit(own, lake, breaker, RunInfo(pipeline="shop", run_id=run_id)).stops(run_id)

    monkeypatch.setattr(circuit, "read_circuit", read_together)
    with ThreadPoolExecutor(2) as pool:
        passed, kept_out = sorted(pool.map(stopped, ["one", "two"]))
    assert passed == ""
    assert re.search(r"first: orders failed: the source is away\. The run (one|two) is trying", kept_out)


def clock_at(moment: datetime) -> type[datetime]:
    """A `datetime` whose `now` is always `moment`."""
    return type("Clock", (datetime,), {"now": classmethod(lambda cls, zone: moment)})


@pytest.mark.spark
def test_a_bad_run_that_is_cleared_and_stopped_stays_a_bad_run(spark: SparkSession, tmp_path: Path) -> None:
    lake, breaker = Lake(str(tmp_path / "lake"), "shop"), CircuitBreaker(failures=1, reset_after=timedelta(days=9999))
    record(spark, lake, "first", ended=NOON, status="failed", error="lost")
    record(spark, lake, "first", ended=NOON + MINUTE, status="stopped")

    found = read_circuit(spark, lake, breaker)

    assert (found.state, found.since) == ("open", NOON)


@pytest.mark.spark
def test_a_run_that_is_written_down_twice_is_there_once_and_the_newest_come_first(
    spark: SparkSession, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path / "lake"), "shop")
    assert run_history(spark, lake) == []
    record(spark, lake, "first", ended=NOON, status="failed", error="lost")
    record(spark, lake, "second", ended=NOON + MINUTE, status="loaded", rows=RowCounts(read=3, inserted=2, rejected=1))
    record(spark, lake, "first", ended=NOON + 2 * MINUTE, status="loaded", started=NOON - MINUTE, attempts=3)
    record(spark, Lake(lake.root, "other"), "third", ended=NOON, status="loaded")

    second, first = run_history(spark, lake)

    assert (second.run_id, second.rows.inserted) == ("second", 2)
    assert second.rows.reject_rate == pytest.approx(1 / 3)
    assert (first.run_id, first.status, first.attempts, first.ended) == ("first", "loaded", 3, NOON + 2 * MINUTE)
    assert [found.run_id for found in run_history(spark, lake, "orders", runs=1)] == ["second"]
    assert run_history(spark, lake, "refunds") == []


def record(spark: SparkSession, lake: Lake, run_id: str, **told: Any) -> None:
    found = TableRecord(table="orders", run_id=run_id, **{"started": NOON, **told})
    record_runs(spark, lake, RunInfo(pipeline=lake.pipeline, run_id=run_id), [found])


@pytest.mark.spark
def test_runs_of_long_ago_are_read_only_where_newer_ones_will_not_do(spark: SparkSession, tmp_path: Path) -> None:
    lake, breaker = Lake(str(tmp_path / "lake"), "shop"), CircuitBreaker(failures=1, reset_after=30 * MINUTE)
    now = datetime.now(timezone.utc)
    then = now - timedelta(days=9)
    old = {"pipeline": "shop", "table": "orders", "run_id": "old", "kind": "live", "status": "failed", "error": ""}
    counts = {"started": then, "ended": then, "seconds": 1.0, "attempts": 1}
    append_rows(spark, lake.ops("runs"), runs.COLUMNS, [{**old, **counts}], "old", at=then)
    assert [found.run_id for found in run_history(spark, lake, runs=1)] == ["old"]
    assert read_circuit(spark, lake, breaker).failures == 1
    record(spark, lake, "new", started=now, ended=now, status="loaded")
    assert [found.run_id for found in run_history(spark, lake, runs=2)] == ["new", "old"]

    (folder,) = Path(lake.ops("runs")).glob("pipeline=*")
    shutil.move(min(folder.glob("*.parquet"), key=lambda file: file.stat().st_mtime), tmp_path)

    assert [found.run_id for found in run_history(spark, lake, runs=1)] == ["new"]
    assert read_circuit(spark, lake, breaker) == Circuit()
