"""The circuit breaker of a pipeline, derived from what its runs have written down.

Nothing keeps a state of its own that could go astray: N bad runs in a row open the circuit, from the end of the last of
them; when its time is over one run tries, and what becomes of it is written down like every other. See M. Nygard,
"Release It!", for the pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from pydantic import AwareDatetime

from airflow_ingest.config import CircuitBreaker
from airflow_ingest.lakehouse.commits import Stamp
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.model import RunInfo, Value
from airflow_ingest.lakehouse.ops import append_rows, looking_back, read_book
from airflow_ingest.lakehouse.runs import BOOK as RUNS
from airflow_ingest.lakehouse.runs import newest_records

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.lake import Lake

_BOOK = "circuit"
_COLUMNS = "pipeline string, event string, run_id string, reason string"
_BAD = ("failed", "held", "not run")


@dataclass(frozen=True)
class RunOutcome:
    """How a run as a whole ended; `bad` says what was wrong with it, and is empty if nothing was."""

    run_id: str
    ended: datetime
    bad: str = ""


@dataclass(frozen=True)
class Event:
    """Somebody closed the circuit by hand (`reset`), or a run began to try (`trial`)."""

    kind: Literal["reset", "trial"]
    at: datetime
    run_id: str
    reason: str = ""


class Circuit(Value):
    """The state of a pipeline's circuit breaker.

    - `closed`: runs go on; `failures` is how many in a row were bad so far
    - `open` since the end of the last bad run, for `reason`: runs are stopped until `next_trial`
    - `half-open`: one run may try, since `due`, or `trial` is trying; the others are stopped
    """

    state: Literal["closed", "open", "half-open"] = "closed"
    failures: int = 0
    since: AwareDatetime | None = None
    next_trial: AwareDatetime | None = None
    reason: str = ""
    trial: str = ""
    due: AwareDatetime | None = None

    def stops(self, run_id: str) -> str:
        """Why the run so named may not go on; empty if it may."""
        if self.state == "open":
            return f"{self.reason}. The next trial is at {self.next_trial:%Y-%m-%d %H:%M:%S %Z}"
        if self.state == "half-open" and self.trial not in ("", run_id):
            return f"{self.reason}. The run {self.trial} is trying whether that is over"
        return ""


def circuit_of(
    outcomes: Sequence[RunOutcome], events: Sequence[Event], breaker: CircuitBreaker, now: datetime
) -> Circuit:
    """The state at `now`, by how the last runs ended (the newest first, `breaker.failures` of them will do)."""
    reset = max((event.at for event in events if event.kind == "reset"), default=None)
    since = [outcome for outcome in outcomes if reset is None or outcome.ended > reset]
    row = next((n for n, outcome in enumerate(since) if not outcome.bad), len(since))
    if row < breaker.failures:
        return Circuit(failures=row)
    last = since[0]
    next_trial = last.ended + breaker.reset_after
    told = f"the circuit is open after {row} bad runs in a row, the last of them {last.run_id}: {last.bad}"
    known = {"failures": row, "since": last.ended, "next_trial": next_trial, "reason": told}
    if now < next_trial:
        return Circuit(state="open", **known)
    trials = [event for event in events if event.kind == "trial" and event.at >= next_trial]
    trial = max(trials, key=lambda event: event.at, default=None)
    due = next_trial if trial is None else trial.at + max(breaker.reset_after, _LEAST)
    if trial is not None and now < due:
        return Circuit(state="half-open", trial=trial.run_id, **known)
    return Circuit(state="half-open", due=due, **known)


_LEAST = timedelta(minutes=10)
"""How long a trial keeps the others out, at least: one that died is never heard of again."""


def read_circuit(spark: SparkSession, lake: Lake, breaker: CircuitBreaker) -> Circuit:
    """The state of the pipeline's circuit now."""
    return circuit_of(_outcomes(spark, lake, breaker), _events(spark, lake), breaker, datetime.now(timezone.utc))


def pass_circuit(spark: SparkSession, lake: Lake, breaker: CircuitBreaker, run: RunInfo) -> Circuit:
    """The state as `run` finds it; ask `stops` whether it may go on.

    Where a trial is due and nobody tries yet, it is this run that does, and of several at the same moment one.
    Backfills, and runs by hand for an interval, are let through unless the breaker says otherwise.
    """
    if run.in_its_lane and not breaker.backfills:
        return Circuit()
    return _pass_or_try(spark, lake, "circuit_breaker", breaker, run.run_id)


@replanned
def _pass_or_try(spark: SparkSession, lake: Lake, _: str, breaker: CircuitBreaker, run_id: str) -> Circuit:
    """A trial's transaction is the moment since when it is due, and Delta takes one of that moment."""
    found = read_circuit(spark, lake, breaker)
    if found.due is None:
        return found
    moment = (found.due - _EPOCH) // timedelta(microseconds=1)
    stamp = Stamp(f"{lake.pipeline}/circuit", moment, {"pipeline": lake.pipeline, "run": run_id})
    _append(spark, lake, "trial", run_id, "", stamp)
    return read_circuit(spark, lake, breaker)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def reset_circuit(spark: SparkSession, lake: Lake, run_id: str, reason: str) -> None:
    """Closes the circuit by hand, for a `reason` that is kept: what went wrong before counts no more."""
    _append(spark, lake, "reset", run_id, reason)


def _outcomes(spark: SparkSession, lake: Lake, breaker: CircuitBreaker) -> list[RunOutcome]:
    from pyspark.sql import functions as F

    book = read_book(spark, lake, RUNS)
    if book is None:
        return []
    limit = F.lit(1.0 if breaker.max_reject_rate is None else breaker.max_reject_rate)
    rate = F.try_divide("rows_rejected", "rows_read")
    ended = F.col("status").isin(*_BAD)
    wrong = F.when(ended, F.concat_ws(" ", "table", F.concat(F.col("status"), F.lit(":")), "error")).when(
        rate > limit, F.format_string("%s rejected %.2f%% of its rows", "table", rate * 100)
    )

    def newest_runs(book: DataFrame) -> list[Any]:
        records = newest_records(book.where(F.col("status") != "stopped"))  # what was cleared is as it was before
        return (
            (records if breaker.backfills else records.where(F.col("kind") == F.lit("live")))
            .groupBy("run_id")
            .agg(F.max("ended").alias("ended"), F.min(wrong).alias("bad"))
            .orderBy(F.desc("ended"))
            .limit(breaker.failures)
            .collect()
        )

    def enough(rows: list[Any], since: datetime) -> bool:
        return len(rows) == breaker.failures and rows[-1]["ended"].astimezone(timezone.utc) >= since

    rows = looking_back(book, newest_runs, enough)
    return [RunOutcome(row["run_id"], row["ended"].astimezone(timezone.utc), _first_line(row["bad"])) for row in rows]


def _first_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[0][:300].rstrip(".") if lines else ""


def _events(spark: SparkSession, lake: Lake) -> list[Event]:
    from pyspark.sql import functions as F

    book = read_book(spark, lake, _BOOK)
    if book is None:
        return []
    rows: list[Any] = book.orderBy(F.desc("at")).limit(100).collect()
    return [Event(row["event"], row["at"].astimezone(timezone.utc), row["run_id"], row["reason"]) for row in rows]


def _append(spark: SparkSession, lake: Lake, event: str, run_id: str, reason: str, stamp: Stamp | None = None) -> None:
    """By this machine's clock, as the ends of runs are: a trial of one whose clock is behind would count as none."""
    row = {"pipeline": lake.pipeline, "event": event, "run_id": run_id, "reason": reason}
    now = datetime.now(timezone.utc)
    append_rows(spark, lake.ops(_BOOK), _COLUMNS, [row], run_id, at=now, stamp=stamp)


def describe_circuit(circuit: Circuit, breaker: CircuitBreaker) -> str:
    """The state in a sentence."""
    if circuit.state == "closed":
        few = f"{circuit.failures} of {breaker.failures} bad runs in a row" if circuit.failures else "no bad run last"
        return f"closed ({few})"
    if circuit.state == "open":
        return f"open: {circuit.stops('')}"
    trying = f"{circuit.trial} tries" if circuit.trial else "the next run tries"
    return f"half-open: {circuit.reason}; {trying}"
