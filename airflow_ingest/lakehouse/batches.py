"""The states of batches: what silver has still to take, what is held, and what was decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pyspark.sql import SparkSession

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.errors import LakehouseError
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Batch, GateOutcome, RunInfo, Value
from airflow_ingest.lakehouse.ops import append_rows, newest, read_book
from airflow_ingest.lakehouse.progress import progress_of

State = Literal["held", "released", "discarded", "superseded"]

_BOOK = "batches"
_COLUMNS = (
    "pipeline string, table string, batch_id string, generation bigint, state string, reason string, "
    "run_id string, batch string"
)
_SETTLED = ("discarded", "superseded")


class WaitingBatch(Value):
    """A batch that silver has still to take; a `held` one waits for a decision, and `reason` says why."""

    batch: Batch
    state: Literal["pending", "held", "released"]
    reason: str = ""


def pending_batches(
    spark: SparkSession, lake: Lake, name: str, run: RunInfo, batch: Batch | None = None
) -> tuple[Batch, ...]:
    """What silver has to take in this run, oldest first: its own `batch`, and for a live run all that was left behind.

    A batch is left behind when bronze's log has it and silver's log has not, unless it is held or was discarded.
    """
    own = () if batch is None else (batch,)
    if run.in_its_lane:
        return own
    waiting = waiting_batches(spark, lake, name, but=batch.id if batch else "")
    return tuple(sorted([*(found.batch for found in waiting if found.state != "held"), *own], key=_age))


def waiting_batches(spark: SparkSession, lake: Lake, name: str, *, but: str = "") -> tuple[WaitingBatch, ...]:
    """The batches that bronze has and silver has still to take, oldest first, without the one whose id is `but`."""
    behind = [batch for batch in progress_of(spark, lake, name).behind if batch.id != but]
    decided = batch_decisions(spark, lake, name) if behind else {}
    found = []
    for batch in sorted(behind, key=_age):
        state, reason = decision_on(batch, decided)
        if state not in _SETTLED:
            released = batch.model_copy(update={"released": state == "released"})
            found.append(WaitingBatch(batch=released, state=state, reason=reason))
    return tuple(found)


def decision_on(batch: Batch, decided: Mapping[tuple[str, int], tuple[str, str]]) -> tuple[str, str]:
    """The state of `batch`, and the reason for it.

    Where only bronze's rows tell of it, its log being gone, its generation is 0, and the last word on it counts.
    """
    known = [key for key in decided if key == batch.key or (batch.generation == 0 and key[0] == batch.id)]
    return decided[max(known)] if known else ("pending", "")


def hold_batch(spark: SparkSession, lake: Lake, table: Table, run: RunInfo, outcome: GateOutcome) -> str:
    """Records that the gate held the batch of `outcome`, and returns what the people who run it have to know.

    Of a `table` that stops at bronze nothing is held back, so there is nothing to record.
    """
    batch, name = outcome.batch, outcome.table
    reason = "; ".join(outcome.reasons)
    where = f"Its rows are in {lake.bronze(name)}, the rejected ones in {lake.dlq(name)}"
    again = "Correct the source or the rules, then clear the run's ingest_bronze task"
    if table.silver is None:
        return f"{lake.pipeline}.{name}: batch {batch.id} breaks its rules: {reason}. {where} too. {again}."
    set_state(spark, lake, batch, "held", reason, run.run_id)
    return (
        f"{lake.pipeline}.{name}: batch {batch.id} is held, nothing of it reached silver: {reason}. {where}. {again}; "
        f"or let it through as it is: airflow-ingest release FILE {name} {batch.id} --reason …"
    )


def decide_held(
    spark: SparkSession,
    lake: Lake,
    name: str,
    batch_id: str | None,
    decision: Literal["released", "discarded"],
    *,
    reason: str,
    run_id: str,
) -> Batch:
    """Lets a held batch through to silver, or throws it away, for a `reason` that is kept; returns the batch.

    Without `batch_id` it is the only one that is held. When the same run decides again it finds what it has decided. A
    released batch is merged by `release_batch`, or by the next live run. Raises LakehouseError if the batch is not held
    now, or where several are and none is named.
    """
    decided = (found for found in _decisions(spark, lake, name) if found.state == decision and found.run_id == run_id)
    mine = next((found.batch for found in decided if batch_id in (None, found.batch.id)), None)
    if mine is not None:
        return mine
    held = [found.batch for found in waiting_batches(spark, lake, name) if found.state == "held"]
    batch = next((batch for batch in held if batch.id == batch_id or (batch_id is None and len(held) == 1)), None)
    if batch is None:
        others = ", ".join(sorted(f"{one.id}{_of(one)}" for one in held)) or "none"
        wrong = "say which batch" if batch_id is None and held else f"the batch {batch_id or ''} is not held"
        raise LakehouseError(f"{lake.pipeline}.{name}: {' '.join(wrong.split())}. Held now: {others}.")
    set_state(spark, lake, batch, decision, reason, run_id)
    return batch


def _of(batch: Batch) -> str:
    return f" (of {batch.interval.start:%Y-%m-%d %H:%M})" if batch.interval else ""


def set_state(spark: SparkSession, lake: Lake, batch: Batch, state: State, reason: str, run_id: str) -> None:
    """Writes a batch's new state into `ops/batches`."""
    row = {
        "pipeline": lake.pipeline,
        "table": batch.table,
        "batch_id": batch.id,
        "generation": batch.generation,
        "state": state,
        "reason": reason,
        "run_id": run_id,
        "batch": batch.model_dump_json(),
    }
    append_rows(spark, lake.ops(_BOOK), _COLUMNS, [row], run_id)


def batch_states(spark: SparkSession, lake: Lake, name: str) -> Mapping[tuple[str, int], str]:
    """The newest state of every batch of a table that has one, by id and generation."""
    return {key: state for key, (state, _) in batch_decisions(spark, lake, name).items()}


def batch_decisions(spark: SparkSession, lake: Lake, name: str) -> Mapping[tuple[str, int], tuple[str, str]]:
    """The newest state of every batch of a table that has one, and the reason for it, by id and generation."""
    return {found.batch.key: (found.state, found.reason) for found in _decisions(spark, lake, name)}


@dataclass(frozen=True)
class _Decision:
    batch: Batch
    state: str
    reason: str
    run_id: str


def _decisions(spark: SparkSession, lake: Lake, name: str) -> list[_Decision]:
    """What was decided last of every batch of a table."""
    book = read_book(spark, lake, _BOOK, name)
    if book is None:
        return []
    rows = newest(book, "batch_id", "generation").select("batch", "state", "reason", "run_id").collect()
    return [_Decision(Batch.model_validate_json(row[0]), *row[1:]) for row in rows]


def _age(batch: Batch) -> tuple[datetime, int]:
    return batch.order, batch.generation
