"""The dead letters of a table as a work list: which there are, what one says, and which are thrown away."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.bronze import BATCH_ID, PROCESSING_DATE
from airflow_ingest.lakehouse.commits import merge_from, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.dlq import STATUS_DISCARDED, STATUS_OPEN, letters_stamp
from airflow_ingest.lakehouse.errors import LakehouseError
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.model import RunInfo, Value
from airflow_ingest.lakehouse.sql import literal
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.lake import Lake

_CHOSEN = "ingest_chosen_letters"


@dataclass(frozen=True)
class Letters:
    """Which letters: those that `rule` rejected, `since` then, with one of `ids`, that the replay `tried_by` has tried.

    All of them, where nothing is said.
    """

    rule: str | None = None
    since: datetime | None = None
    ids: tuple[str, ...] = ()
    tried_by: str | None = None

    def among(self, letters: DataFrame) -> DataFrame:
        """Those of `letters`."""
        if self.rule is not None:
            letters = letters.where(F.exists("reasons", lambda reason: reason["rule"] == F.lit(self.rule)))
        if self.since is not None:
            letters = letters.where(F.col("rejected_at") >= F.lit(self.since))
        if self.tried_by is not None:
            letters = letters.where(F.col("tried_by") == F.lit(self.tried_by))
        return letters.where(F.col("id").isin(*self.ids)) if self.ids else letters


class Reason(Value):
    """Why a row was rejected: the rule, the column that it concerns if there is one, and what is wrong."""

    rule: str
    column: str | None = None
    message: str


class Letter(Value):
    """A rejected row.

    - `payload`: the row as it arrived, as JSON; `raw`: the line, where it could not be parsed
    - `source_position`: its number in the file, from 0 on, where the format has one (Parquet)
    - `fixed`: the payload that a replay put in its place
    - `closed_by`, `closed_at`, `note`: which run replayed, discarded or superseded it, when, and why
    - `tried_by`: the last replay that judged it, of `attempts`
    """

    id: str
    status: str
    batch_id: str
    processing_date: date
    payload: str | None
    raw: str | None
    fixed: str | None
    reasons: tuple[Reason, ...]
    source_file: str | None
    source_position: int | None = None
    run_id: str
    rule_version: str
    rejected_at: AwareDatetime
    attempts: int
    tried_by: str | None
    closed_by: str | None
    closed_at: AwareDatetime | None
    note: str | None


class LettersByRule(Value):
    """How many letters of one status name a rule, and when the first and the last of them were rejected."""

    rule: str
    status: str
    letters: int
    first: AwareDatetime
    last: AwareDatetime


def dead_letters_of(
    spark: SparkSession,
    lake: Lake,
    name: str,
    letters: Letters | None = None,
    *,
    status: str | None = STATUS_OPEN,
    limit: int = 20,
) -> list[Letter]:
    """The oldest `limit` of the chosen `letters` of a table that have that `status` (None: any)."""
    found = _read(spark, lake, name, status)
    if found is None:
        return []
    rows = (letters or Letters()).among(found).orderBy("batch_order", "id").limit(limit)
    return [_letter(row.asDict(recursive=True)) for row in rows.collect()]


def letters_by_rule(spark: SparkSession, lake: Lake, name: str) -> list[LettersByRule]:
    """What the letters of a table name, the most frequent first; one with several reasons counts for each rule."""
    found = _read(spark, lake, name)
    if found is None:
        return []
    rules = F.explode(F.array_distinct(F.transform("reasons", lambda reason: reason["rule"]))).alias("rule")
    counts = (
        found.select(rules, "status", "rejected_at")
        .groupBy("rule", "status")
        .agg(
            F.count(F.lit(1)).alias("letters"), F.min("rejected_at").alias("first"), F.max("rejected_at").alias("last")
        )
        .orderBy(F.desc("letters"), "rule", "status")
    )
    return [LettersByRule.from_dict(_aware(row.asDict())) for row in counts.collect()]


def ids_of(spark: SparkSession, lake: Lake, name: str, beginnings: Collection[str]) -> tuple[str, ...]:
    """The ids that begin with each of `beginnings`, of which the whole id is one.

    Raises LakehouseError for one that begins no letter's id, or several ones'.
    """
    if not beginnings:
        return ()
    wanted = sorted(set(beginnings))
    begun = F.filter(F.array(*map(F.lit, wanted)), lambda beginning: F.col("id").startswith(beginning))
    rows = _read(spark, lake, name)
    counts = (
        []
        if rows is None
        else rows.select("id", F.explode(begun).alias("beginning"))
        .groupBy("beginning")
        .agg(F.min("id").alias("id"), F.count(F.lit(1)).alias("n"))
        .collect()
    )
    found = {row["beginning"]: (row["id"], row["n"]) for row in counts}
    what = f"{lake.pipeline}.{name}"
    if unknown := [beginning for beginning in wanted if beginning not in found]:
        raise LakehouseError(
            f"{what}: no dead letter has the id {', '.join(unknown)}. airflow-ingest dlq list shows them."
        )
    if several := [beginning for beginning, (_, count) in found.items() if count > 1]:
        raise LakehouseError(f"{what}: several dead letters' ids begin with {', '.join(several)}. Write more of them.")
    return tuple(sorted(one for one, _ in found.values()))


def count_letters(
    spark: SparkSession, lake: Lake, name: str, letters: Letters, *, status: str | None = STATUS_OPEN
) -> int:
    """How many of the chosen `letters` have that `status` (None: any)."""
    found = _read(spark, lake, name, status)
    return 0 if found is None else letters.among(found).count()


@replanned
def discard_letters(spark: SparkSession, lake: Lake, name: str, run: RunInfo, letters: Letters, *, reason: str) -> int:
    """Closes those of the chosen `letters` that are open, for a `reason` that is kept; returns how many those were.

    They are replayed no more. Their rows stay out of silver for as long as today's rules reject them: a load of their
    batch that accepts one closes its letter as superseded. Doing it again changes nothing.
    """
    found = _read(spark, lake, name, STATUS_OPEN)
    if found is None:
        return 0
    path, stamp = lake.dlq(name), letters_stamp(spark, lake, name, run, "discard")
    statement = (
        f"MERGE INTO {sql_table(path)} AS t USING {_CHOSEN} AS s ON t.id = s.id WHEN MATCHED AND "
        f"t.status = '{STATUS_OPEN}' THEN UPDATE SET status = '{STATUS_DISCARDED}', closed_by = {literal(run.run_id)}, "
        f"closed_at = current_timestamp(), note = {literal(reason)}"
    )
    merge_from(spark, letters.among(found).select("id"), _CHOSEN, statement, stamp)
    return int(written(spark, path, stamp).metrics.get("numTargetRowsUpdated", 0))


def _read(spark: SparkSession, lake: Lake, name: str, status: str | None = None) -> DataFrame | None:
    """The table's letters that have that `status` (None: any); None if it never had one."""
    path = lake.dlq(name)
    if not history(spark, path, 1):
        return None
    rows = spark.read.format("delta").load(path)
    return rows if status is None else rows.where(F.col("status") == F.lit(status))


def _letter(row: dict[str, object]) -> Letter:
    return Letter.from_dict({**_aware(row), "batch_id": row[BATCH_ID], "processing_date": row[PROCESSING_DATE]})


def _aware(row: dict[str, object]) -> dict[str, object]:
    """Spark gives times in the machine's own zone, without saying so."""
    return {key: value.astimezone() if isinstance(value, datetime) else value for key, value in row.items()}
