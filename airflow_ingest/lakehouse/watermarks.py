"""How far a table has got in its source, kept in bronze's own log.

An incremental batch says in its commit where the table is once it is in. Incremental batches of one table share one
transaction id, whose version counts up from the last one in the log: of two runs that plan at once Delta takes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.cursors import as_text, from_spark, kind_of
from airflow_ingest.lakehouse.log import Commit, history, in_effect
from airflow_ingest.lakehouse.model import Batch, RunInfo, Watermark, short_hash
from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_LOOK_BACK = 200


def increments(spark: SparkSession, bronze: str) -> list[Commit]:
    """The newest commits of the table at `bronze`, newest first: at least to its last incremental one, if any.

    A RESTORE may have undone the newest, so one that is in effect is looked for.
    """
    log = history(spark, bronze, _LOOK_BACK)
    if log and log[-1].version > 0 and not any(_batches(in_effect(log))):
        log = history(spark, bronze, log[0].version + 1)
    return log


def newest_increment(log: Sequence[Commit]) -> Batch | None:
    """The table's newest incremental batch, which need not be the one that took it farthest; None if it has none."""
    return next(_batches(in_effect(log)), None)


def watermark_of(log: Sequence[Commit]) -> Watermark | None:
    """Where the table is; None if no incremental batch is in it."""
    newest = newest_increment(log)
    return newest.watermark if newest else None


def watermark_in_rows(spark: SparkSession, bronze: str, log: Sequence[Commit], cursor: str) -> Watermark | None:
    """Where the table is by its rows, if its `log` no longer tells, as it was cleaned up or RESTOREd; else None.

    Backfills are left out, for they may be ahead of it: their rows have the end of an interval for their order, in
    whole seconds, and an incremental batch has the moment at which it was planned.
    """
    from pyspark.sql import functions as F

    from airflow_ingest.lakehouse.bronze import BATCH_ORDER

    if not (_is_cut_off(log) or any(commit.restored is not None for commit in log)):
        return None
    rows = spark.read.format("delta").load(bronze)
    field = next((field for field in rows.schema.fields if field.name == cursor), None)
    kind = kind_of(field.dataType) if field else None
    if kind is None:
        return None
    incremental = rows.where(F.unix_micros(BATCH_ORDER) % 1_000_000 != 0)
    value = incremental.select(as_text(F.max(quote(cursor)), kind)).collect()[0][0]
    return None if value is None else Watermark(cursor=cursor, kind=kind, value=from_spark(value, kind))


def next_transaction(log: Sequence[Commit]) -> int:
    """The version for the next incremental batch. A RESTORE does not give versions back, so undone commits count.

    Where the log no longer tells the last one, the table's version is above it: each took a commit.
    """
    if _is_cut_off(log):
        return log[0].version + 1
    return max((batch.transaction or 0 for batch in _batches(log)), default=0) + 1


def _is_cut_off(log: Sequence[Commit]) -> bool:
    return bool(log) and log[-1].version > 0 and not any(_batches(log))


def increment(log: Sequence[Commit], draft: Batch, run: RunInfo, since: str | None, **pinned: Any) -> Batch:
    """`draft` as the table's next incremental batch, which goes on from the watermark's value `since`.

    `pinned` is what it takes, and the `watermark` that it leaves.
    """
    now = datetime.now(timezone.utc)
    own = {
        "id": short_hash(run.pipeline, draft.table, run.run_id, since),
        "interval": None,
        "processing_date": now.date(),
        "planned": now.replace(microsecond=now.microsecond or 1),
        "transaction": next_transaction(log),
    }
    return draft.model_copy(update={**own, **pinned})


def increment_again(log: Sequence[Commit], draft: Batch) -> Batch | None:
    """The incremental batch that the run of `draft` has loaded already, to be loaded once more; None if it has none.

    The watermark stays where it is.
    """
    before = next((batch for batch in _batches(in_effect(log)) if batch.run_id == draft.run_id), None)
    again = {"generation": draft.generation, "transaction": next_transaction(log), "repeats": True}
    return before and before.model_copy(update={**again, "watermark": watermark_of(log)})


def application(table: str) -> str:
    """The transaction id that the incremental batches of `table` share."""
    return f"{table}/bronze/incremental"


def _batches(commits: Sequence[Commit] | Iterator[Commit]) -> Iterator[Batch]:
    for commit in commits:
        found = commit.metadata.get("batch")
        if found and found.get("transaction") is not None:
            yield Batch.from_dict(found)
