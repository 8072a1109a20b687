"""The dead-letter table of a table: every rejected row as it arrived, why, and where it came from."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructField

from airflow_ingest.lakehouse.bronze import (
    AUDIT_COLUMNS,
    BATCH_ID,
    BATCH_ORDER,
    PROCESSING_DATE,
    RECORD_HASH,
    batch_predicate,
)
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.commits import Stamp, highest_of, merge_from, written
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, own_history, told
from airflow_ingest.lakehouse.model import Batch, RunInfo
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE, SOURCE_POSITION
from airflow_ingest.lakehouse.sql import EXACT_JSON, literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import ensure

STATUS_OPEN = "open"
STATUS_REPLAYED = "replayed"
STATUS_DISCARDED = "discarded"
STATUS_SUPERSEDED = "superseded"
POSITION = "source_position"
FIXES = "fixes"
"""In a commit of the DLQ: whether any of its letters was replayed with a fix."""

ORDINAL = "__ordinal"
"""The row's number among the batch's equal rows, where it was counted before a function made others of them."""

_ID = "__letter_id"
_FIXED = "__fixed"
_GENERATION = "__generation"
_LETTERS_VIEW = "ingest_dlq_letters"


def with_letter_ids(rows: DataFrame, table: str) -> DataFrame:
    """`rows` with the ids that their letters have or would have, for `dead_letters` to use.

    Where letters may have been replayed, ids are given before the rejected rows are picked: of equal rows one may have
    been fixed and the other not.
    """
    return rows.withColumn(_ID, _letter_id(rows, table))


def with_ordinals(rows: DataFrame) -> DataFrame:
    """`rows` of bronze, each with its `ORDINAL`."""
    return rows.withColumn(ORDINAL, F.expr(_COUNTED))


def _letter_id(rows: DataFrame, table: str) -> Column:
    """It follows from table, batch, payload and the row's ordinal among the batch's equal payloads."""
    ordinal = ORDINAL if ORDINAL in rows.columns else _COUNTED
    return F.expr(f"sha2(concat_ws('/', {literal(table)}, {BATCH_ID}, {RECORD_HASH}, {ordinal}), 256)")


_COUNTED = f"row_number() OVER (PARTITION BY {BATCH_ID}, {RECORD_HASH} ORDER BY {RECORD_HASH})"


def dead_letters(judged: DataFrame, batch: Batch, run: RunInfo, rule_version: str) -> DataFrame:
    """The rejected rows of `judged` as rows of the DLQ, the same for every load of the same rows.

    `payload` is the source's row as JSON; a malformed line is kept as its raw text in `raw`. A row of which a function
    made several has one letter, with all their reasons. The other columns are told of at `lakehouse.letters.Letter`.
    """
    placed = judged.withColumns(
        {
            PROCESSING_DATE: F.lit(batch.processing_date),
            BATCH_ORDER: F.lit(batch.order),
            _GENERATION: F.lit(batch.generation),
        }
    )
    return _letters(placed, batch.table, run, rule_version)


def letters_beside(judged: DataFrame, table: str, run: RunInfo, rule_version: str) -> DataFrame:
    """`dead_letters` of rows of several batches, which have their `_processing_date` beside them.

    Of which generation of its batch a row is, bronze does not say: they have none (0), and so are no held batch's.
    """
    return _letters(judged.withColumn(_GENERATION, F.lit(0).cast("bigint")), table, run, rule_version)


def _letters(judged: DataFrame, table: str, run: RunInfo, rule_version: str) -> DataFrame:
    from airflow_ingest.lakehouse.silver.judged import ERRORS, SOURCE

    letters = judged.where(f"size({ERRORS}) > 0").select(
        (F.col(_ID) if _ID in judged.columns else _letter_id(judged, table)).alias("id"),
        F.col(BATCH_ID),
        F.col(PROCESSING_DATE),
        F.col(_GENERATION).alias("generation"),
        F.to_json(F.col(SOURCE), EXACT_JSON).alias("payload"),
        F.col(f"{SOURCE}.{CORRUPT_RECORD}").alias("raw"),
        F.col(ERRORS).alias("reasons"),
        F.col(SOURCE_FILE).alias("source_file"),
        (F.col(SOURCE_POSITION) if SOURCE_POSITION in judged.columns else F.lit(None).cast("bigint")).alias(POSITION),
        F.col(RECORD_HASH).alias("record_hash"),
        F.lit(run.run_id).alias("run_id"),
        F.lit(rule_version).alias("rule_version"),
        F.current_timestamp().alias("rejected_at"),
        F.col(BATCH_ORDER).alias("batch_order"),
        F.lit(0).alias("attempts"),
        F.lit(STATUS_OPEN).alias("status"),
        F.lit(None).cast("string").alias("fixed"),
        F.lit(None).cast("string").alias("tried_by"),
        F.lit(None).cast("string").alias("closed_by"),
        F.lit(None).cast("timestamp").alias("closed_at"),
        F.lit(None).cast("string").alias("note"),
    )
    return _one_each(letters) if ORDINAL in judged.columns else letters


def _one_each(letters: DataFrame) -> DataFrame:
    reasons = F.array_distinct(F.flatten(F.collect_list("reasons"))).alias("reasons")
    others = [F.first(name).alias(name) for name in letters.columns if name not in ("id", "reasons")]
    return letters.groupBy("id").agg(reasons, *others).select(letters.columns)


def merge_letters(
    spark: SparkSession, path: str, letters: DataFrame, rows: DataFrame, batch: Batch, stamp: Stamp
) -> None:
    """Brings the letters of a batch that is loaded again up to date, in one commit that carries `stamp`.

    `letters` are those of the new load, and `rows` all its rows. What was decided about a letter stays for as long as
    its row is there: replayed ones are left alone unless the row is rejected after all, discarded ones unless it is
    accepted. Letters whose row is gone, or accepted now, are closed as superseded.
    """
    accepted = rows.select(F.col(_ID).alias("id")).distinct().join(letters, "id", "left_anti")
    mine = batch_predicate(batch, "t.")
    rejected = "s.reasons IS NOT NULL"
    again = ("generation", "reasons", "run_id", "rule_version")
    superseded = (
        f"status = '{STATUS_SUPERSEDED}', closed_by = {literal(str(stamp.metadata['run']))}, "
        "closed_at = current_timestamp()"
    )
    statement = (
        f"MERGE INTO {sql_table(path)} AS t USING {_LETTERS_VIEW} AS s ON t.id = s.id AND {mine} "
        f"WHEN MATCHED AND {rejected} AND t.status <> '{STATUS_DISCARDED}' THEN UPDATE SET "
        f"{', '.join(f'{name} = s.{name}' for name in again)}, status = '{STATUS_OPEN}', closed_by = NULL, "
        f"closed_at = NULL "
        f"WHEN MATCHED AND NOT {rejected} AND t.status IN ('{STATUS_OPEN}', '{STATUS_DISCARDED}') THEN "
        f"UPDATE SET {superseded} "
        f"WHEN NOT MATCHED AND {rejected} THEN INSERT * "
        f"WHEN NOT MATCHED BY SOURCE AND {mine} AND t.status <> '{STATUS_SUPERSEDED}' THEN UPDATE SET {superseded}"
    )
    merge_from(spark, letters.unionByName(accepted, allowMissingColumns=True), _LETTERS_VIEW, statement, stamp)


def add_letters(spark: SparkSession, lake: Lake, name: str, letters: DataFrame, run: RunInfo) -> int:
    """Opens those of `letters` that are neither open nor discarded, in one commit; returns how many those were.

    Doing it again changes nothing.
    """
    path = lake.dlq(name)
    ensure(spark, lake, path, letters, columns=(), partition_by=(PROCESSING_DATE,))
    known = spark.read.format("delta").load(path).where(F.col("status").isin(STATUS_OPEN, STATUS_DISCARDED))
    letters = checkpointed(letters.join(known.select("id"), "id", "left_anti"))
    if letters.isEmpty():
        return 0
    again = ", ".join(f"{column} = s.{column}" for column in ("reasons", "run_id", "rule_version"))
    statement = (
        f"MERGE INTO {sql_table(path)} AS t USING {_LETTERS_VIEW} AS s ON t.id = s.id "
        f"WHEN MATCHED AND t.status IN ('{STATUS_REPLAYED}', '{STATUS_SUPERSEDED}') THEN UPDATE SET {again}, "
        f"status = '{STATUS_OPEN}', closed_by = NULL, closed_at = NULL "
        "WHEN NOT MATCHED THEN INSERT *"
    )
    stamp = letters_stamp(spark, lake, name, run, "rejected")
    merge_from(spark, letters, _LETTERS_VIEW, statement, stamp)
    metrics = written(spark, path, stamp).metrics
    return sum(int(metrics.get(f"numTargetRows{what}", 0)) for what in ("Inserted", "Updated"))


def letters_stamp(spark: SparkSession, lake: Lake, name: str, run: RunInfo, what: str, *, fixes: bool = False) -> Stamp:
    """The stamp of a commit to the DLQ that is no load: `what` is done to letters, with `fixes` or without."""
    commits = own_history(spark, lake.dlq(name))
    return Stamp.now(
        f"{name}/{what}/dlq",
        pipeline=lake.pipeline,
        layer="dlq",
        table=name,
        run=run.run_id,
        highest=highest_of(commits),
        fixes=fixes or has_fixes(commits),
    )


def has_fixes(commits: Sequence[Commit]) -> bool:
    """Whether a letter of the DLQ whose newest commits these are was ever replayed with a fix."""
    return bool(told(commits, FIXES))


def with_fixes(spark: SparkSession, lake: Lake, name: str, rows: DataFrame) -> DataFrame:
    """Rows of bronze, with the payloads that replays have put in the place of theirs."""
    path = lake.dlq(name)
    if not has_fixes(own_history(spark, path)):
        return rows
    replayed = F.col("status") == F.lit(STATUS_REPLAYED)
    fixes = spark.read.format("delta").load(path).where(replayed & F.col("fixed").isNotNull())
    source = [field for field in rows.schema.fields if field.name not in AUDIT_COLUMNS]
    payload = parsed("fixed", source).alias(_FIXED)
    return (
        with_letter_ids(rows, name)
        .join(fixes.select(F.col("id").alias(_ID), payload), _ID, "left")
        .withColumns(
            {
                field.name: F.when(F.col(_FIXED).isNull(), F.col(quote(field.name))).otherwise(
                    F.col(_FIXED).getField(field.name)
                )
                for field in source
            }
        )
        .drop(_ID, _FIXED)
    )


def parsed(payload: str, fields: Sequence[StructField]) -> Column:
    """A payload column's JSON as the source's `fields`; `_corrupt_record` is one of them, and no parser's complaint."""
    schema = ", ".join(f"{quote(field.name)} {field.dataType.simpleString()}" for field in fields)
    return F.from_json(payload, schema, {"columnNameOfCorruptRecord": "__unparsed"})
