"""How far silver has got in bronze, kept in silver's own log.

Every commit of silver says up to which version of bronze all batches are settled, which of them are not, and which
version of silver it was worked out from. What is pending follows from the newest such commit and from what was
committed to either table since, so its price does not grow with the tables' age, and no batch is passed over: a batch
stays behind until a commit of silver carries it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timezone
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.commits import Place
from airflow_ingest.lakehouse.log import LOOK_BACK, Commit, commits_after, history, in_effect, told
from airflow_ingest.lakehouse.model import Batch, Interval, Value

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake

PROGRESS = "progress"
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

        An increment that bronze took for the first time, and that silver has still to take, was never there.
        """
        place = Place.of(batch, commits)
        new = batch.transaction is not None and not batch.repeats and batch.key in {one.key for one in self.behind}
        return replace(place, first=True) if new else place


def progress_of(spark: SparkSession, lake: Lake, name: str) -> Progress:
    """The progress as both logs tell it now; `behind` are the batches that silver has not, held ones among them."""
    silver = history(spark, lake.silver(name), LOOK_BACK)
    known = _newest(silver)
    if silver and silver[-1].version > known.base + 1:
        silver = commits_after(spark, lake.silver(name), known.base)
        known = _newest(silver)
    taken = {batch.key for batch in _batches(in_effect(silver))}
    bronze = commits_after(spark, lake.bronze(name), known.bronze)
    newest = {batch.id: batch for batch in known.behind}
    if bronze and bronze[-1].version > known.bronze + 1:
        newest = {batch.id: batch for batch in _told_by_rows(spark, lake, name)} | newest
    newest |= {batch.id: batch for batch in _batches(reversed(list(in_effect(bronze))))}
    return Progress(
        bronze=bronze[0].version if bronze else known.bronze,
        base=silver[0].version if silver else _NOTHING,
        behind=tuple(batch.without_files() for batch in newest.values() if batch.key not in taken),
    )


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
