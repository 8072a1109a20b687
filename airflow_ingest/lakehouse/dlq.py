"""The dead-letter table of a table: every rejected row as it arrived, why, and where it came from."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.bronze import BATCH_ID, PROCESSING_DATE, RECORD_HASH
from airflow_ingest.lakehouse.model import Batch, RunInfo
from airflow_ingest.lakehouse.silver.judged import ERRORS, SOURCE
from airflow_ingest.lakehouse.sources.files import CORRUPT_RECORD, SOURCE_FILE
from airflow_ingest.lakehouse.sql import literal

STATUS_OPEN = "open"
STATUS_REPLAYED = "replayed"


def dead_letters(judged: DataFrame, batch: Batch, run: RunInfo, rule_version: str) -> DataFrame:
    """The rejected rows of `judged` as rows of the DLQ.

    A row's id follows from table, batch, payload and its ordinal among equal payloads, so a repeated load gives the
    same rows. `payload` is the source's row as JSON; a malformed line is kept as its raw text in `_corrupt_record`.
    """
    ordinal = f"row_number() OVER (PARTITION BY {RECORD_HASH} ORDER BY {RECORD_HASH})"
    identity = f"concat_ws('/', {literal(batch.table)}, {BATCH_ID}, {RECORD_HASH}, {ordinal})"
    return judged.where(f"size({ERRORS}) > 0").select(
        F.expr(f"sha2({identity}, 256)").alias("id"),
        F.col(BATCH_ID),
        F.lit(batch.processing_date).alias(PROCESSING_DATE),
        F.lit(batch.generation).alias("generation"),
        F.to_json(F.col(SOURCE)).alias("payload"),
        F.col(f"{SOURCE}.{CORRUPT_RECORD}").alias("raw"),
        F.col(ERRORS).alias("reasons"),
        F.col(SOURCE_FILE).alias("source_file"),
        F.col(RECORD_HASH).alias("record_hash"),
        F.lit(run.run_id).alias("run_id"),
        F.lit(rule_version).alias("rule_version"),
        F.current_timestamp().alias("rejected_at"),
        F.lit(batch.order).alias("batch_order"),
        F.lit(0).alias("attempts"),
        F.lit(STATUS_OPEN).alias("status"),
        F.lit(None).cast("string").alias("replayed_by"),
        F.lit(None).cast("timestamp").alias("replayed_at"),
    )
