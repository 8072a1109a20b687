"""A held batch that somebody lets through goes into silver at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.batches import decide_held
from airflow_ingest.lakehouse.model import ALREADY_APPLIED, LoadResult
from airflow_ingest.lakehouse.progress import progress_of
from airflow_ingest.lakehouse.quality.gate import quality_gate
from airflow_ingest.lakehouse.silver.merge import STEP, merge_silver

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.config import Table
    from airflow_ingest.lakehouse.lake import Lake
    from airflow_ingest.lakehouse.model import RunInfo


def release_batch(
    spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo, batch_id: str | None = None, *, reason: str
) -> LoadResult:
    """Lets a held batch through to silver for a `reason` that is kept, and merges it.

    Its rules no longer hold it; rows that break one of their own stay rejected, and newer batches' rows stay. Without
    `batch_id` it is the only one that is held. Doing it again in the same run changes nothing. Raises LakehouseError if
    the batch is not held.
    """
    batch = decide_held(spark, lake, name, batch_id, "released", reason=reason, run_id=run.run_id)
    batch = batch.model_copy(update={"released": True})
    if batch.id not in {one.id for one in progress_of(spark, lake, name).behind}:
        return LoadResult.of_batch(STEP, batch, status="unchanged", reason=ALREADY_APPLIED)
    outcome = quality_gate(spark, lake, name, table, run, batch)
    return merge_silver(spark, lake, name, table, run, batch, outcome)
