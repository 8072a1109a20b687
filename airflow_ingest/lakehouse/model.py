"""The plain values that steps take and give: JSON in XCom, on asset events and in a commit's metadata."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timezone
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from typing_extensions import Self

from airflow_ingest.lakehouse.cursors import moment

RunKind = Literal["live", "backfill", "manual"]
LoadStatus = Literal["loaded", "unchanged", "skipped"]
Decision = Literal["pass", "warn", "block"]

ALREADY_APPLIED = "already applied by an earlier attempt"


class Value(BaseModel):
    """What travels between steps: frozen, and forward compatible (unknown fields are ignored)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_dict(self) -> dict[str, Any]:
        """The value as JSON-safe builtins."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """The value again, from what `to_dict` gave."""
        return cls.model_validate(data)


class Interval(Value):
    """A data interval: start included, end excluded, both aware."""

    start: AwareDatetime
    end: AwareDatetime


class RunInfo(Value):
    """Who asks for a load. `live` follows the schedule; `backfill` and `manual` work on their own interval alone.

    `part` tells apart the loads of one table in one run, where a task is mapped over its sources. With `anew` a table
    that is loaded by increments takes its source from the beginning, whatever it has loaded.
    """

    pipeline: str
    run_id: str
    interval: Interval | None = None
    kind: RunKind = "live"
    part: str = ""
    anew: bool = False

    @property
    def in_its_lane(self) -> bool:
        """Whether the run must keep to its own interval and leave everything newer alone."""
        return self.kind != "live"


class SourceFile(Value):
    """One file of a listing: its path, its size in bytes and when it was modified (seconds since the epoch)."""

    path: str
    size: int
    modified: float


CursorKind = Literal["number", "date", "time", "local_time"]
"""What a cursor counts in; a `local_time` has no zone and is taken as UTC."""


class Watermark(Value):
    """How far a table has got in its source: a value of its cursor, written as `lakehouse.cursors` does."""

    cursor: str
    kind: CursorKind
    value: str


class CursorRange(Value):
    """The rows of a batch, by their cursor: (low, high] if it is closed on the right, [low, high) on the left.

    Without `high` there is none. `since` is the watermark that `low` was counted from.
    """

    cursor: str
    kind: CursorKind
    low: str | None
    high: str | None
    closed: Literal["left", "right"]
    since: str | None = None


class Versions(Value):
    """What a batch takes of a Delta table: what was committed after `since` up to `to`, or the table as it was at `to`.

    `table` is the table's id, which it loses when it is made anew; `at` is when `to` was committed.
    """

    path: str
    table: str
    since: int | None = None
    to: int
    at: AwareDatetime | None = None


class Batch(Value):
    """The pinned input of one load.

    `id` is the same for every attempt and every re-run over the same interval; `generation` (milliseconds since the
    epoch at planning) grows with each deliberate plan, so that the newest plan of a batch is the one that counts. A
    `released` batch was held, and somebody let it through: the gate is not asked again.

    - `range`: what it takes of a source that has a cursor; `versions`: what it takes of a Delta table
    - `watermark`: where the table is once the batch is in; None for a batch that leaves the watermark alone
    - `transaction`: its place among the table's incremental batches, of which Delta takes one; None for all others
    - `repeats`: whether bronze has had this batch before (told of incremental batches alone)
    - `planned`: when an incremental batch was first planned; a re-run keeps its place
    - `types`: those of `columns`, as the source has them, where this process has read it
    """

    table: str
    id: str
    generation: int
    run_id: str
    interval: Interval | None = None
    processing_date: date
    files: tuple[SourceFile, ...] = ()
    range: CursorRange | None = None
    versions: Versions | None = None
    watermark: Watermark | None = None
    transaction: int | None = None
    repeats: bool = False
    planned: AwareDatetime | None = None
    columns: tuple[str, ...] = ()
    types: dict[str, str] = Field({}, exclude=True, repr=False)
    released: bool = False

    def without_files(self) -> Self:
        """The batch for a log that many batches stand in."""
        return self.model_copy(update={"files": ()})

    @property
    def order(self) -> datetime:
        """Where the batch stands among the batches of its table: the end of its interval, else when first planned."""
        if self.interval is not None:
            return self.interval.end
        return self.planned or datetime.fromtimestamp(self.generation / 1000, tz=timezone.utc)

    @property
    def span(self) -> tuple[datetime | None, datetime | None]:
        """From when to when the batch reaches, as far as it can be told in time."""
        if self.interval is not None:
            return self.interval.start, self.interval.end
        if self.range is None:
            return None, None
        return moment(self.range.since, self.range.kind), moment(self.range.high, self.range.kind)

    @property
    def key(self) -> tuple[str, int]:
        """What a later layer records as taken."""
        return self.id, self.generation


class RowCounts(Value):
    """What became of the rows that were read. They reconcile: see `unaccounted`.

    `retracted` stands beside the account: rows that an earlier load of the batch had in the table and this one has not.
    """

    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    superseded: int = 0
    rejected: int = 0
    filtered: int = 0
    deduplicated: int = 0
    retracted: int = 0

    @property
    def written(self) -> int:
        """Rows that changed the table."""
        return self.inserted + self.updated + self.deleted

    @property
    def reject_rate(self) -> float:
        """The share of the rows read that was rejected."""
        return self.rejected / self.read if self.read else 0.0

    @property
    def unaccounted(self) -> int:
        """Rows read less everything that became of them: zero, or a row was lost or invented."""
        settled = self.written + self.unchanged + self.superseded + self.rejected + self.filtered + self.deduplicated
        return self.read - settled


class RuleResult(Value):
    """The outcome of one rule on one batch.

    - `failing` counts rows; `value` is what a batch rule measured
    - `sample`: a few of the rows that break it, as JSON of the columns that the rule names
    - `seconds`: what its own query took; of a rule that has none, the pass that answered all those
    """

    name: str
    kind: str
    severity: str
    passed: bool
    failing: int = 0
    value: float | None = None
    threshold: str = ""
    message: str = ""
    sample: tuple[str, ...] = ()
    seconds: float = 0.0


class LoadResult(Value):
    """What one load of one table did.

    - `up_to`: the end of the newest data that the table has had, as far as its commits tell
    - `rescued` counts rows of bronze in which something did not fit its column
    - `replaced` those of an earlier load of the batch that gave way to it there, as far as Delta has counted them
    - `bytes_written`: the files that the commit added, as far as Delta tells
    - `rules` are those that a gold table was judged by
    - `columns`: what the load knew of its rows' columns and their types. It stays in this process
    """

    step: str
    table: str
    batch: Batch | None = None
    status: LoadStatus = "loaded"
    reason: str = ""
    version: int | None = None
    watermark_from: AwareDatetime | None = None
    watermark_to: AwareDatetime | None = None
    up_to: AwareDatetime | None = None
    rows: RowCounts = RowCounts()
    rescued: int = 0
    replaced: int = 0
    bytes_written: int | None = None
    seconds: float = 0.0
    pending: tuple[Batch, ...] = ()
    rules: tuple[RuleResult, ...] = ()
    columns: dict[str, str] = Field({}, exclude=True, repr=False)

    @classmethod
    def of_batch(cls, step: str, batch: Batch, *, highest: str | None = None, **found: Any) -> Self:
        """The result of loading `batch`, whose span in time gives the watermark.

        `highest` is the end of the newest interval that the table has had, as its commits tell it.
        """
        start, end = batch.span
        reached = [end] if end else []
        reached += [datetime.fromisoformat(highest)] if highest else []
        spans = {"watermark_from": start, "watermark_to": end, "up_to": max(reached, default=None)}
        return cls(step=step, table=batch.table, batch=batch, **spans, **found)


class PartitionRange(Value):
    """The least and the greatest value of a partition column among a batch's accepted rows, as SQL literals."""

    column: str
    low: str
    high: str


class GateOutcome(Value):
    """What the gate found in a batch, and whether the batch may be published.

    `deletions` are those of its accepted rows that delete their key; `lookups` are the versions of the tables in which
    values were looked up; `unused` are the source's columns of which silver takes nothing.
    """

    table: str
    batch: Batch
    decision: Decision
    reasons: tuple[str, ...] = ()
    rows: RowCounts = RowCounts()
    rejections: dict[str, int] = {}
    rules: tuple[RuleResult, ...] = ()
    partitions: tuple[PartitionRange, ...] = ()
    deletions: int = 0
    lookups: dict[str, int] = {}
    unused: tuple[str, ...] = ()
    fingerprint: str = ""
    seconds: float = 0.0


class ReplayResult(Value):
    """What a replay did with the dead letters of a table: `tried` = `replayed` + `rejected`.

    - `open`: how many there were to try; `waiting`: those left alone, of batches that silver has still to take
    - `reasons`: how many of those that were rejected again each rule names
    - `version`: silver's version after the last merge
    """

    table: str
    open: int = 0
    waiting: int = 0
    tried: int = 0
    replayed: int = 0
    rejected: int = 0
    reasons: dict[str, int] = {}
    dry_run: bool = False
    version: int | None = None
    seconds: float = 0.0

    def plus(self, part: ReplayResult) -> Self:
        """This result with what became of one more part of the letters."""
        rules = {**self.reasons, **part.reasons}
        return self.model_copy(
            update={
                **{name: getattr(self, name) + getattr(part, name) for name in ("tried", "replayed", "rejected")},
                "reasons": {rule: self.reasons.get(rule, 0) + part.reasons.get(rule, 0) for rule in rules},
                "version": self.version if part.version is None else part.version,
            }
        )


def short_hash(*parts: object) -> str:
    """Sixteen hex digits that stand for `parts`, the same in every process."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:16]
