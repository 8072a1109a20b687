"""How far a table has got in its source, kept in bronze's own log.

An incremental batch says in its commit where the table is once it is in. Incremental batches of one table share one
transaction id, whose version counts up from the last one in the log: of two runs that plan at once Delta takes one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.log import Commit, history, in_effect
from airflow_ingest.lakehouse.model import Batch, Watermark

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


def watermark_of(log: Sequence[Commit]) -> Watermark | None:
    """Where the table is; None if no incremental batch is in it."""
    return next((batch.watermark for batch in _batches(in_effect(log))), None)


def next_transaction(log: Sequence[Commit]) -> int:
    """The version for the next incremental batch. A RESTORE does not give versions back, so undone commits count."""
    return max((batch.transaction or 0 for batch in _batches(log)), default=0) + 1


def batch_of_run(log: Sequence[Commit], run_id: str) -> Batch | None:
    """What the run so named has loaded already."""
    return next((batch for batch in _batches(in_effect(log)) if batch.run_id == run_id), None)


def application(table: str) -> str:
    """The transaction id that the incremental batches of `table` share."""
    return f"{table}/bronze/incremental"


def _batches(commits: Sequence[Commit] | Iterator[Commit]) -> Iterator[Batch]:
    for commit in commits:
        found = commit.metadata.get("batch")
        if found and found.get("transaction") is not None:
            yield Batch.from_dict(found)
