"""The states of batches: what silver has still to take, and what is held."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.model import Batch, GateOutcome, RunInfo
from airflow_ingest.lakehouse.ops import append_rows

_LOOK_BACK = 200

BATCH_STATES = (
    "pipeline string, table string, batch_id string, generation bigint, state string, reason string, "
    "run_id string, batch string"
)


def pending_batches(spark: SparkSession, lake: Lake, name: str, run: RunInfo, batch: Batch) -> tuple[Batch, ...]:
    """What silver has to take in this run, oldest first: `batch`, and for a live run all that was left behind.

    A batch is left behind when bronze's log has it, silver's log has not, and nobody holds it.
    """
    if run.in_its_lane:
        return (batch,)
    newest: dict[str, Batch] = {}
    for commit in history(spark, lake.bronze(name), _LOOK_BACK):
        if found := commit.metadata.get("batch"):
            newest.setdefault(found["id"], Batch.from_dict(found))
    newest[batch.id] = batch
    settled = _merged(spark, lake, name) | held_batches(spark, lake, name)
    left = [found for found in newest.values() if found.key not in settled]
    return tuple(sorted(left, key=lambda found: (found.order, found.generation)))


def hold_batch(spark: SparkSession, lake: Lake, name: str, run: RunInfo, outcome: GateOutcome) -> str:
    """Records that the gate held the batch of `outcome`, and returns what the people who run it have to know."""
    reason = "; ".join(outcome.reasons)
    append_rows(
        spark,
        lake.ops("batches"),
        BATCH_STATES,
        [
            {
                "pipeline": lake.pipeline,
                "table": name,
                "batch_id": outcome.batch.id,
                "generation": outcome.batch.generation,
                "state": "held",
                "reason": reason,
                "run_id": run.run_id,
                "batch": outcome.batch.model_dump_json(),
            }
        ],
        run.run_id,
    )
    return (
        f"{lake.pipeline}.{name}: batch {outcome.batch.id} is held, nothing of it reached silver: {reason}. "
        f"Its rows are in {lake.bronze(name)}, the rejected ones in {lake.dlq(name)}. "
        "Correct the source or the rules, then clear the run's ingest_bronze task."
    )


def _merged(spark: SparkSession, lake: Lake, name: str) -> set[tuple[str, int]]:
    commits = history(spark, lake.silver(name), _LOOK_BACK)
    return {_key(commit.metadata["batch"]) for commit in commits if commit.metadata.get("batch")}


def held_batches(spark: SparkSession, lake: Lake, name: str) -> set[tuple[str, int]]:
    """The (id, generation) of the batches that the gate held."""
    from airflow_ingest.lakehouse.tables import properties

    if properties(spark, lake.ops("batches")) is None:
        return set()
    states = spark.read.format("delta").load(lake.ops("batches"))
    held: Sequence[Any] = (
        states.where(
            (F.col("pipeline") == F.lit(lake.pipeline)) & (F.col("table") == F.lit(name)) & (F.col("state") == "held")
        )
        .select("batch_id", "generation")
        .collect()
    )
    return {(row[0], row[1]) for row in held}


def _key(batch: dict[str, Any]) -> tuple[str, int]:
    return batch["id"], batch["generation"]
