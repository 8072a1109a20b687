"""A batch on its way to silver: every row with the reasons against it, if any, and its place among its key's rows.

    bronze rows → malformed? filtered? → silver's columns → checks (casts, keys, row rules) → the latest row per key

The gate and the merge both start from here, so what one counts is what the other writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Silver, Table
from airflow_ingest.lakehouse.bronze import AUDIT_COLUMNS, BATCH_ID, BATCH_ORDER, RECORD_HASH, read_batch
from airflow_ingest.lakehouse.dlq import with_fixes
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Batch, RunInfo
from airflow_ingest.lakehouse.quality.row_rules import failing_condition
from airflow_ingest.lakehouse.silver.projection import (
    Check,
    Projected,
    missing_columns,
    needed_columns,
    project,
    unprojected,
)
from airflow_ingest.lakehouse.silver.rows import INGESTED_AT, INGESTED_BY
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE
from airflow_ingest.lakehouse.sources.files import REPLACEMENT_CHARACTER, UNREADABLE
from airflow_ingest.lakehouse.sql import literal, quote

SEQUENCE = "_sequence"
ERRORS = "__errors"
FILTERED = "__filtered"
RANK = "__rank"
MALFORMED = "malformed"
_EARLY = "__early_errors"
SOURCE = "__source"
DELETES = "__deletes"
ACCEPTED = f"(NOT {FILTERED} AND size({ERRORS}) = 0)"
PUBLISHED = f"({ACCEPTED} AND {RANK} = 1)"

_ANSI = "spark.sql.ansi.enabled"


@dataclass(frozen=True)
class Judged:
    """`rows`: one row of the batch each, with silver's columns (`selected`) and the helper columns named above.

    `checks` are all reasons that a row can be rejected for; `missing` are columns that silver reads and the batch
    has not, which are NULL in `rows`.
    """

    rows: DataFrame
    selected: tuple[Projected, ...]
    checks: tuple[Check, ...]
    missing: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of silver's columns."""
        return tuple(column.name for column in self.selected)


@contextmanager
def judging(spark: SparkSession) -> Iterator[None]:
    """Turns ANSI mode off inside the block: a value that does not cast is a reason against its row, not an error."""
    before = spark.conf.get(_ANSI)
    spark.conf.set(_ANSI, "false")
    try:
        yield
    finally:
        spark.conf.set(_ANSI, str(before))


def judge(
    spark: SparkSession, lake: Lake, name: str, table: Table, batch: Batch, rows: DataFrame | None = None
) -> Judged:
    """The rows of `batch`, judged. Use what it gives inside `judging`.

    `rows` are the batch's as bronze would hold them, where it does not hold them yet. Raises SchemaMismatch if the
    batch lacks a column that silver cannot do without.
    """
    bronze = with_fixes(spark, lake, name, read_batch(spark, lake, batch) if rows is None else rows)
    missing: list[str] = []
    if batch.columns:
        where = f"tables.{name}: {', '.join(file.path for file in batch.files[:3])}"
        lenient = table.bronze.schema_ == "evolve"
        missing = missing_columns(where, silver_of(table), batch.columns, lenient=lenient)
    return judge_rows(bronze, table, missing=missing)


def judge_rows(rows: DataFrame, table: Table, *, carry: Sequence[str] = (), missing: Sequence[str] = ()) -> Judged:
    """`rows`, which look as bronze's, judged by today's configuration.

    The columns `carry` are passed on as they are.
    """
    silver = silver_of(table)
    source = [column for column in rows.columns if column not in {*AUDIT_COLUMNS, CORRUPT_RECORD, *carry}]
    known = {name.lower() for name in source}
    for absent in (name for name in needed_columns(silver) if name.lower() not in known):
        rows = rows.withColumn(absent, F.lit(None).cast("string"))
    columns = project(silver, source)
    before = (_malformed(), *(check for column in columns for check in column.checks))
    after = (*_null_keys(silver.keys), *_row_rules(table))
    helpers = {BATCH_ID, SOURCE_FILE, RECORD_HASH, BATCH_ORDER, *carry}
    typed = rows.select(
        *(F.expr(column.sql).alias(column.name) for column in columns),
        F.struct(*(quote(column) for column in (*source, CORRUPT_RECORD))).alias(SOURCE),
        F.expr(_filtered(silver.where)).alias(FILTERED),
        F.expr(_errors(before)).alias(_EARLY),
        *(F.col(quote(name)) for name in sorted(unprojected(silver, [column.name for column in columns]) - helpers)),
        *(F.col(quote(name)) for name in sorted(helpers)),
    )
    malformed = f"exists({_EARLY}, e -> e.rule = '{MALFORMED}')"
    found = f"concat({_EARLY}, {_errors(after)})"
    reasons = (
        f"CASE WHEN {FILTERED} THEN slice({_EARLY}, 1, 0) WHEN {malformed} THEN slice({_EARLY}, 1, 1) "
        f"WHEN {DELETES} THEN {_of_columns(found, (*silver.keys, *silver.sequence_by))} ELSE {found} END"
    )
    deletes = f"coalesce(({silver.delete_when}), false)" if silver.delete_when else "false"
    judged = (
        typed.withColumn(DELETES, F.expr(deletes))
        .withColumn(FILTERED, F.expr(f"{FILTERED} AND NOT {DELETES}"))
        .withColumn(ERRORS, F.expr(reasons))
        .withColumn(SEQUENCE, _sequence(silver.sequence_by))
    )
    return Judged(
        rows=judged.withColumn(RANK, F.expr(_rank(silver.keys))),
        selected=tuple(columns),
        checks=(*before, *after),
        missing=tuple(missing),
    )


def published_rows(judged: Judged, run: RunInfo) -> DataFrame:
    """The accepted rows of `judged`, one per key, as silver holds them; a deletion has no `_ingested_at`."""
    return judged.rows.where(F.expr(PUBLISHED)).select(
        *(F.col(quote(name)) for name in judged.columns),
        F.col(SEQUENCE),
        F.col(BATCH_ID),
        F.when(~F.col(DELETES), F.current_timestamp()).alias(INGESTED_AT),
        F.lit(run.run_id).alias(INGESTED_BY),
    )


def select_sql(judged: Judged, table: Table, relation: str, condition: str) -> str:
    """The SELECT of silver's columns from those rows of bronze (`relation`) for which `condition` holds, to be read."""
    columns = ",\n  ".join(f"{column.sql} AS {quote(column.name)}" for column in judged.selected)
    where = silver_of(table).where
    kept = f"\n  AND NOT {_filtered(where)}" if where else ""
    return f"SELECT\n  {columns}\nFROM {relation}\nWHERE {condition}\n  AND {quote(CORRUPT_RECORD)} IS NULL{kept}"


def silver_of(table: Table) -> Silver:
    """The table's `silver`; a ValueError if it has none."""
    if table.silver is None:
        raise ValueError("this table has no `silver`: there is nothing to judge its rows by")
    return table.silver


def _malformed() -> Check:
    corrupt = quote(CORRUPT_RECORD)
    message = (
        f"CASE WHEN startswith({corrupt}, {literal(UNREADABLE)}) THEN {corrupt} "
        f"WHEN contains({corrupt}, {literal(REPLACEMENT_CHARACTER)}) "
        "THEN 'bytes that are not in the encoding of the file (set options.encoding)' "
        "ELSE concat('malformed line: ', left(" + corrupt + ", 200)) END"
    )
    return Check(MALFORMED, None, f"{corrupt} IS NOT NULL", message)


def _null_keys(keys: Sequence[str]) -> list[Check]:
    return [Check("key", key, f"{quote(key)} IS NULL", literal(f"the key column {key} is NULL")) for key in keys]


def _filtered(where: str | None) -> str:
    return f"({quote(CORRUPT_RECORD)} IS NULL AND NOT coalesce(({where}), false))" if where else "false"


def _errors(checks: Sequence[Check]) -> str:
    if not checks:
        return "cast(array() AS array<struct<rule: string, column: string, message: string>>)"
    reasons = ", ".join(
        f"CASE WHEN {check.condition} THEN named_struct('rule', {literal(check.rule)}, "
        f"'column', cast({literal(check.column)} AS STRING), 'message', {check.message}) END"
        for check in checks
    )
    return f"array_compact(array({reasons}))"


def _row_rules(table: Table) -> list[Check]:
    return [
        Check(rule.name, None, failing_condition(rule), literal(f"breaks {rule.title}"))
        for rule in table.quality.rules
        if rule.scope == "row" and rule.severity == "error"
    ]


def _of_columns(errors: str, names: Sequence[str]) -> str:
    """Those of `errors` that concern the columns `names`: all that a deletion is checked on."""
    return f"filter({errors}, e -> e.column IN ({', '.join(map(literal, names))}))"


def _sequence(columns: Sequence[str]) -> Column:
    by = (F.col(quote(name)).alias(f"by_{i + 1}") for i, name in enumerate(columns))
    return F.struct(*by, F.col(BATCH_ORDER).alias("batch"), F.col(RECORD_HASH).alias("row"))


def _rank(keys: Sequence[str]) -> str:
    if not keys:
        return "1"
    partition = ", ".join([ACCEPTED, *(quote(key) for key in keys)])
    return f"row_number() OVER (PARTITION BY {partition} ORDER BY {SEQUENCE} DESC)"
