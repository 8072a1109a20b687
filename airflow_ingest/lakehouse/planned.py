"""The values of a plan: what a run would do, from what is there now."""

from __future__ import annotations

from typing import Literal

from airflow_ingest.lakehouse.batches import WaitingBatch
from airflow_ingest.lakehouse.model import Batch, Decision, RowCounts, RuleResult, Value


class TablePlan(Value):
    """What a run would do with one table.

    - `status`: `load`; `hold` where the gate would hold the batch; `skip`; `supersede` where a newer load is there;
      `wait` for a table that it looks values up in and that was never published; `fail` where the run would end with
      an error, which is the `reason`
    - `batch`: with the files that would be read; `again` if it was loaded before, with `in_bronze` rows that give way
    - `rows`: their account; of a batch that would be held only what the gate finds, of a bronze table only `read`
    - `rejections`: rows by the reason of their rejection; a row with two reasons counts in both
    - `others`: the batches that wait for silver; a live run takes those that are not held along
    - `overwrites`: whether rows of silver give way to the batch, whatever they are
    - `select`, `statement`: silver's columns and the write that publishes them, as SQL
    """

    table: str
    status: Literal["load", "hold", "skip", "supersede", "wait", "fail"] = "load"
    reason: str = ""
    batch: Batch | None = None
    again: bool = False
    in_bronze: int = 0
    rows: RowCounts = RowCounts()
    malformed: int = 0
    rejections: dict[str, int] = {}
    rules: tuple[RuleResult, ...] = ()
    decision: Decision | None = None
    reasons: tuple[str, ...] = ()
    others: tuple[WaitingBatch, ...] = ()
    overwrites: bool = False
    select: str = ""
    statement: str = ""
    seconds: float = 0.0


class GoldPlan(Value):
    """What a run would do with one gold table, from what its inputs have published now.

    - `status`: `recompute`, `unchanged`, `wait` for inputs that were never published, or `fail`
    - `inputs`: the published ones' versions now; `absent`: the others; `taken`: the versions that it was made from
    - `partitions`: the partitions, or the values of keys, that would be recomputed, as text; None for the whole table
      and for more of them than can be listed
    - `query`: the SELECT that makes it; `replaces`: the condition on the rows recomputed, empty for all
    - `keys`: by which only what differs among these rows is written; without any, all of them give way
    """

    table: str
    status: Literal["recompute", "unchanged", "wait", "fail"]
    reason: str
    inputs: dict[str, int] = {}
    absent: tuple[str, ...] = ()
    taken: dict[str, int] = {}
    partitions: tuple[str, ...] | None = None
    query: str = ""
    replaces: str = ""
    keys: tuple[str, ...] = ()
    seconds: float = 0.0
