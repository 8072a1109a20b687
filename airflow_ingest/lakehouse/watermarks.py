"""How far a table has got in its source, kept in bronze's own log.

An incremental batch says in its commit where the table is once it is in. Incremental batches of one table share one
transaction id, whose version counts up from the last one in the log: of two runs that plan at once Delta takes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.log import Commit, history, in_effect
from airflow_ingest.lakehouse.model import Batch, RunInfo, Watermark, short_hash

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


def next_transaction(log: Sequence[Commit]) -> int:
    """The version for the next incremental batch. A RESTORE does not give versions back, so undone commits count."""
    return max((batch.transaction or 0 for batch in _batches(log)), default=0) + 1


def increment(log: Sequence[Commit], draft: Batch, run: RunInfo, since: str | None, **pinned: Any) -> Batch:
    """`draft` as the table's next incremental batch, which goes on from the watermark's value `since`.

    `pinned` is what it takes, and the `watermark` that it leaves.
    """
    now = datetime.now(timezone.utc)
    own = {
        "id": short_hash(run.pipeline, draft.table, run.run_id, since),
        "interval": None,
        "processing_date": now.date(),
        "planned": now,
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
