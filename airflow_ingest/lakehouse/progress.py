"""How far silver has got in bronze, kept in silver's own log.

Every commit of silver says up to which version of bronze all batches are settled, which of them are not, and which
version of silver it was worked out from. What is pending follows from the newest such commit and from what was
committed to either table since, so its price does not grow with the tables' age, and no batch is passed over: a batch
stays behind until a commit of silver carries it.

A load that derives keys from bronze does so with what silver had taken when it was worked out. A batch that was
published between that and its commit is behind again: the rows that it lost against may be gone.

A load whose rows are worked out from silver's is planned again where another one was published meanwhile. Should it die
before that, its own batch is behind still.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.commits import Place
from airflow_ingest.lakehouse.log import Commit, commits_after, history, in_effect, own_history, told
from airflow_ingest.lakehouse.model import Batch, Interval, Value

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake

PROGRESS = "progress"
DERIVED = "derived"
"""In a commit of silver: for how many keys it asked all of bronze."""
WORKED_OUT = "worked_out"
"""In a commit of silver: the version of silver that its rows were worked out from."""
_NOTHING = -1


class Progress(Value):
    """All batches that bronze had at version `bronze` are settled but those `behind`, as seen from silver's `base`."""

    bronze: int = _NOTHING
    base: int = _NOTHING
    behind: tuple[Batch, ...] = ()

    def after(self, taken: Batch) -> Progress:
        """The progress once `taken` is in silver."""
        return self.model_copy(update={"behind": tuple(batch for batch in self.behind if batch.id != taken.id)})

    def place(self, batch: Batch, commits: Sequence[Commit]) -> Place:
        """The place of `batch` in silver, whose newest commits are `commits`.

        An increment that bronze took for the first time, and that silver has still to take, was never there, unless a
        commit tells of it.
        """
        place = Place.of(batch, commits)
        new = batch.transaction is not None and not batch.repeats and batch.key in {one.key for one in self.behind}
        new = new and batch.key not in {one.key for one in _batches(in_effect(commits))}
        return replace(place, first=True) if new else place


def progress_of(spark: SparkSession, lake: Lake, name: str) -> Progress:
    """The progress as both logs tell it now; `behind` are the batches that silver has not, held ones among them."""
    silver = own_history(spark, lake.silver(name))
    known = _newest(silver)
    if silver and silver[-1].version > known.base + 1:
        silver = commits_after(spark, lake.silver(name), known.base)
        known = _newest(silver)
    taken, again = _taken(silver)
    bronze = commits_after(spark, lake.bronze(name), known.bronze)
    newest = {batch.id: batch for batch in (*known.behind, *again)}
    if bronze and bronze[-1].version > known.bronze + 1:
        newest = {batch.id: batch for batch in _told_by_rows(spark, lake, name)} | newest
    newest |= {batch.id: batch for batch in _batches(reversed(list(in_effect(bronze))))}
    return Progress(
        bronze=bronze[0].version if bronze else known.bronze,
        base=silver[0].version if silver else _NOTHING,
        behind=tuple(batch.without_files() for batch in newest.values() if batch.key not in taken),
    )


def passed_over(spark: SparkSession, lake: Lake, name: str, batch: Batch) -> list[Batch]:
    """The batches that silver has to take once more, since a load of `batch` derived keys without them."""
    return _taken(own_history(spark, lake.silver(name)), batch.id)[1]


@dataclass(frozen=True)
class _Gap:
    """What a commit that derived keys did not know: silver's commits after `base`, and bronze's after `bronze`."""

    own: str
    version: int
    base: int
    bronze: int
    behind: frozenset[tuple[str, int]]

    @classmethod
    def before(cls, commit: Commit) -> _Gap | None:
        """The gap before `commit`; None if it has derived none."""
        batch = commit.metadata.get("batch")
        if not batch or not commit.metadata.get(DERIVED):
            return None
        known = Progress.from_dict(commit.metadata.get(PROGRESS) or {})
        behind = frozenset(one.key for one in known.behind)
        return cls(Batch.from_dict(batch).id, commit.version, known.base, known.bronze, behind)

    def hides(self, commit: Commit) -> bool:
        """Whether `commit` published what was not among the rows that the keys were derived from."""
        if not self.base < commit.version < self.version or not commit.metadata.get("batch"):
            return False
        batch = Batch.from_dict(commit.metadata["batch"])
        saw = Progress.from_dict(commit.metadata.get(PROGRESS) or {}).bronze
        return batch.id != self.own and (batch.key in self.behind or saw > self.bronze)


def _taken(silver: Iterable[Commit], by: str | None = None) -> tuple[set[tuple[str, int]], list[Batch]]:
    """The batches that the commits of `silver`, newest first, have taken, and those to be taken once more.

    With `by`, only what loads of the batch with that id have passed over counts.
    """
    commits = list(in_effect(silver))
    gaps: list[_Gap] = []
    taken: set[tuple[str, int]] = set()
    outdated: set[tuple[str, int]] = set()
    again: dict[str, Batch] = {}
    for commit in commits:
        is_outdated = by is None and _is_outdated(commit, commits)
        for batch in _batches([commit]):
            if batch.key in taken or batch.key in outdated:
                continue
            if is_outdated:
                outdated.add(batch.key)
            if is_outdated or any(gap.hides(commit) for gap in gaps):
                again.setdefault(batch.id, batch)
            else:
                taken.add(batch.key)
        gap = _Gap.before(commit)
        gaps += [gap] if gap and by in (None, gap.own) else []
    return taken, sorted((one for one in again.values() if one.key not in taken), key=lambda one: one.order)


def _is_outdated(commit: Commit, commits: Iterable[Commit]) -> bool:
    """Whether other rows were published while those of `commit` were worked out, as far as `commits` tell."""
    base = commit.metadata.get(WORKED_OUT, commit.version)
    between = (other for other in commits if base < other.version < commit.version)
    return base + 1 < commit.version and any(other.changes_rows for other in between)


def _told_by_rows(spark: SparkSession, lake: Lake, name: str) -> list[Batch]:
    """The batches in bronze of which silver shows no row: what is left to go by where the log was cleaned up."""
    from pyspark.sql import functions as F

    from airflow_ingest.lakehouse.bronze import BATCH_ID, BATCH_ORDER, PROCESSING_DATE

    batches = (
        spark.read.format("delta")
        .load(lake.bronze(name))
        .groupBy(BATCH_ID, PROCESSING_DATE, BATCH_ORDER)
        .agg(F.max("_run_id").alias("_run_id"))
    )
    if history(spark, lake.silver(name), 1):
        batches = batches.join(spark.read.format("delta").load(lake.silver(name)), BATCH_ID, "left_anti")
    return [
        Batch(
            table=name,
            id=row[BATCH_ID],
            generation=0,
            run_id=row["_run_id"],
            processing_date=row[PROCESSING_DATE],
            **_place(row[PROCESSING_DATE], row[BATCH_ORDER].astimezone(timezone.utc)),
        )
        for row in batches.collect()
    ]


def _place(start: date, order: datetime) -> dict[str, Any]:
    """The interval that ends at `order`; or, with a fraction of a second, when an incremental batch was planned."""
    if order.microsecond:
        return {"planned": order}
    return {"interval": Interval(start=min(datetime.combine(start, time(), timezone.utc), order), end=order)}


def _newest(silver: Iterable[Commit]) -> Progress:
    return Progress.from_dict(told(in_effect(silver), PROGRESS) or {})


def _batches(commits: Iterable[Commit]) -> list[Batch]:
    return [Batch.from_dict(commit.metadata["batch"]) for commit in commits if commit.metadata.get("batch")]
