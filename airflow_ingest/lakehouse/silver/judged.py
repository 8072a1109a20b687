"""A batch on its way to silver: every row with the reasons against it, if any, and its place among its key's rows.

    bronze rows → malformed? filtered? → silver's columns → checks (casts, keys, row rules) → the latest row per key

The gate and the merge both start from here, so what one counts is what the other writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Rule, Silver, Table
from airflow_ingest.lakehouse.bronze import AUDIT_COLUMNS, BATCH_ID, BATCH_ORDER, RECORD_HASH, read_batch
from airflow_ingest.lakehouse.dlq import ORDINAL, with_fixes, with_ordinals
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.expressions import losses
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Batch, RowCounts, RunInfo
from airflow_ingest.lakehouse.quality.batch_rules import Measures, not_worked_out
from airflow_ingest.lakehouse.quality.row_rules import failing_condition
from airflow_ingest.lakehouse.quality.sql_rules import unsound
from airflow_ingest.lakehouse.settings import other_settings
from airflow_ingest.lakehouse.silver import models
from airflow_ingest.lakehouse.silver.folding import HELPERS, folded, gathered
from airflow_ingest.lakehouse.silver.images import with_images
from airflow_ingest.lakehouse.silver.lookups import Lookups, as_sql
from airflow_ingest.lakehouse.silver.operations import deletes, unknown_operations
from airflow_ingest.lakehouse.silver.projection import (
    Check,
    Projected,
    flags,
    in_types,
    lost_in,
    missing_columns,
    needed_columns,
    project,
    unprojected,
    untyped,
)
from airflow_ingest.lakehouse.silver.regions import replaced_rows
from airflow_ingest.lakehouse.silver.rows import INGESTED_AT, INGESTED_BY, SEQUENCE
from airflow_ingest.lakehouse.silver.transforms import PASSED_ON, SOURCE_ROW, transformed
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE, SOURCE_POSITION
from airflow_ingest.lakehouse.sources.files import REPLACEMENT_CHARACTER, UNREADABLE
from airflow_ingest.lakehouse.sql import EXACT_JSON, literal, quote

ERRORS = "__errors"
FILTERED = "__filtered"
RANK = "__rank"
MALFORMED = "malformed"
_EARLY = "__early_errors"
_REASON = "struct<rule: string, column: string, message: string>"
_TIE_BREAKER = "__tie_breaker"
_AS_THEY_CAME = Silver(load="append")
_DIGITS = 16
"""Of a row's hash, in `_sequence`: enough to put two rows of one batch in order, and no compression shortens them."""
SOURCE = "__source"
DELETES = "__deletes"
ACCEPTED = f"(NOT {FILTERED} AND size({ERRORS}) = 0)"
PUBLISHED = f"({ACCEPTED} AND {RANK} = 1)"

_JUDGING = {
    "spark.sql.ansi.enabled": "false",
    "spark.sql.constraintPropagation.enabled": "false",  # takes minutes where a table has a thousand columns
}


@dataclass(frozen=True)
class Judged:
    """`rows`: one row of the batch each, with silver's columns (`selected`) and the helper columns named above.

    A column that no batch has had yet, and of which the configuration says no type, is not among those selected.
    `typed` are the same rows with the columns alone for which no other table has to be read.

    `checks` are all reasons that a row can be rejected for; `missing` are columns that silver reads and the batch
    has not, which are NULL in `rows`. `refused` are the rules on rows, by name, that cannot be worked out, and why; no
    row was judged by them.
    """

    silver: Silver
    rows: DataFrame
    typed: DataFrame
    selected: tuple[Projected, ...]
    checks: tuple[Check, ...]
    missing: tuple[str, ...]
    refused: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of silver's columns."""
        return tuple(column.name for column in self.selected)


@contextmanager
def judging(spark: SparkSession) -> Iterator[None]:
    """Turns ANSI mode off inside the block: a value that does not cast is a reason against its row, not an error.

    Nor does Spark infer filters from filters inside it.
    """
    with other_settings(spark, _JUDGING):
        yield


def judge(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    batch: Batch,
    lookups: Lookups,
    rows: DataFrame | None = None,
    *,
    found: RowCounts | None = None,
) -> Judged:
    """The rows of `batch`, judged. Use what it gives inside `judging`.

    `rows` are the batch's as bronze would hold them, where it does not hold them yet, or as it held them; what was
    `found` in these very rows is not looked for again. Raises SchemaMismatch if the batch lacks a column that silver
    cannot do without.
    """
    bronze = with_fixes(spark, lake, name, read_batch(spark, lake, batch) if rows is None else rows)
    missing: list[str] = []
    made = silver_of(table).transform or silver_of(table).sql or silver_of(table).images
    if batch.columns and not made:
        where = f"tables.{name}: {', '.join(file.path for file in batch.files[:3])}"
        lenient = table.bronze.schema_ == "evolve"
        sparse = table.source.format == "json"
        missing = missing_columns(where, silver_of(table), batch.columns, lenient=lenient, sparse=sparse)
    within = replaced_rows(silver_of(table), batch)
    return judge_rows(bronze, table, lookups, missing=missing, within=within, found=found)


def judge_rows(
    rows: DataFrame,
    table: Table,
    lookups: Lookups,
    *,
    carry: Sequence[str] = (),
    missing: Sequence[str] = (),
    within: str | None = None,
    found: RowCounts | None = None,
) -> Judged:
    """`rows`, which look as bronze's, judged by today's configuration.

    The columns `carry` are passed on as they are. Rows for which `within` does not hold are rejected. Where the same
    rows were counted before (`found`), and none was rejected or had a newer one of its key beside it, this is not
    worked out again.
    """
    silver = silver_of(table)
    carry = (*carry, SOURCE_POSITION) if SOURCE_POSITION in rows.columns else carry
    source = [column for column in rows.columns if column not in {*AUDIT_COLUMNS, CORRUPT_RECORD, *carry}]
    original, tie_breaker = F.struct(*(quote(column) for column in (*source, CORRUPT_RECORD))), F.col(RECORD_HASH)
    lost: list[Check] = []
    if silver.transform is not None or silver.sql is not None:
        carry = (*carry, ORDINAL)
        rows = _made(with_ordinals(rows), silver, source, carry, lookups)
        lost = _lost_in_sql(silver)
        left_out = {*PASSED_ON, CORRUPT_RECORD, *carry, *(check.condition for check in lost)}
        source = [column for column in rows.columns if column not in left_out]
        whole = F.to_json(F.struct(*(quote(column) for column in sorted(source))), EXACT_JSON)
        original, tie_breaker = F.col(SOURCE_ROW), F.sha2(F.concat(RECORD_HASH, whole), 256)
    if silver.images is not None:
        rows, source, broken = with_images(rows, silver.images, source, needed_columns(silver))
        lost += broken
    if silver.transform is not None or silver.sql is not None or silver.images is not None:
        made_by = "images" if silver.images is not None else "sql" if silver.sql is not None else "transform"
        missing_columns(f"silver.{made_by}", silver, source, lenient=False)
    helpers = {BATCH_ID, SOURCE_FILE, RECORD_HASH, BATCH_ORDER, *carry}
    known = {name.lower() for name in source}
    absent = [name for name in needed_columns(silver) if name.lower() not in known]
    nothing = F.lit(None).cast("string") if table.source.format in ("csv", "json") else F.lit(None)
    for name in absent:
        rows = rows.withColumn(name, F.lit(None) if name in flags(silver) else nothing)
    without = untyped(silver, absent)
    columns = [replace(one, sql="NULL") if one.name in without else one for one in project(silver, source)]
    own = in_types(rows, [column for column in columns if not column.looked_up])
    others = [column for column in columns if column.looked_up]
    before = (_malformed(), *lost, *lost_in(silver.where), *(c for column in own for c in column.checks))
    typed = rows.select(
        *(F.expr(column.sql).alias(column.name) for column in own),
        original.alias(SOURCE),
        tie_breaker.alias(_TIE_BREAKER),
        F.expr(_filtered(silver.where)).alias(FILTERED),
        F.expr(_errors(before)).alias(_EARLY),
        *(F.col(quote(name)) for name in sorted(unprojected(silver, [column.name for column in columns]) - helpers)),
        *(F.col(quote(name)) for name in sorted(helpers)),
    )
    alone = typed
    if others:
        typed = lookups.beside(typed, silver)
        others = in_types(typed, others)
        typed = typed.withColumns({column.name: F.expr(column.sql) for column in others})
    refused: Mapping[str, str] = {}
    if not found or found.rejected:
        typed, refused = lookups.related(typed, table.quality.rules)
        refused = {**refused, **_unsound(typed, [rule for rule in _row_rules(table) if rule.name not in refused])}
    looked_up = (check for column in others for check in column.checks)
    undecided = lost_in(silver.delete_when)
    after = (
        *looked_up,
        *_null_keys(silver),
        *undecided,
        *unknown_operations(silver),
        *_outside(within),
        *_broken_rules(rule for rule in _row_rules(table) if rule.name not in refused),
    )
    reasons = _errors(()) if found and not found.rejected else _reasons(silver, after)
    rank = "1" if found and not found.deduplicated else _rank(silver)
    made = {column.name: column for column in (*own, *others)}
    judged = (
        typed.withColumn(DELETES, F.expr(deletes(silver)))
        .withColumn(FILTERED, F.expr(" AND NOT ".join([FILTERED, DELETES, *(check.condition for check in undecided)])))
        .withColumn(ERRORS, F.expr(reasons))
        .withColumn(SEQUENCE, _sequence(silver.sequence_by))
    )
    return Judged(
        silver=silver,
        rows=judged.withColumn(RANK, F.expr(rank)),
        typed=alone.select(*(F.col(quote(column.name)) for column in own)),
        selected=tuple(made[column.name] for column in columns if column.name not in without),
        checks=(*before, *after),
        missing=tuple(missing),
        refused=refused,
    )


def require_rules(where: str, table: Table, judged: Judged) -> None:
    """Raises SchemaMismatch if there is a rule of severity error by which no row was judged."""
    for rule in _row_rules(table):
        if rule.severity == "error" and (why := judged.refused.get(rule.name)):
            raise SchemaMismatch(
                f"{where}: rule {rule.name}: {not_worked_out(why)}. Nothing was changed. Correct the rule, or the "
                "columns that it looks at, and run this again."
            )


def published_rows(judged: Judged, run: RunInfo) -> DataFrame:
    """The accepted rows of `judged`, one per key, as silver holds them; a deletion has no `_ingested_at`.

    Where silver's row follows from more than its newest change, the columns of `lakehouse.silver.folding` are beside.
    """
    silver, rows = judged.silver, judged.rows.where(F.expr(ACCEPTED))
    is_folded = silver.soft or (silver.partial and silver.load == "merge")
    if is_folded:
        rows = folded(rows, judged.columns, silver, DELETES)
    else:
        rows = gathered(rows, judged.columns, silver, DELETES) if silver.partial else rows
        rows = rows.where(F.expr(PUBLISHED))
    return rows.select(
        *(F.col(quote(name)) for name in judged.columns),
        F.col(SEQUENCE),
        F.col(BATCH_ID),
        F.when(~F.col(DELETES), F.current_timestamp()).alias(INGESTED_AT),
        F.lit(run.run_id).alias(INGESTED_BY),
        *(HELPERS if is_folded else ()),
    )


def _made(rows: DataFrame, silver: Silver, source: Sequence[str], carry: Sequence[str], lookups: Lookups) -> DataFrame:
    """What the pipeline's own function or SQL makes of `rows`."""
    if silver.sql is not None:
        return models.modelled(rows, silver.sql, source, carry, lookups)
    assert silver.transform is not None
    return transformed(rows, silver.transform, source, carry)


def _lost_in_sql(silver: Silver) -> list[Check]:
    if silver.sql is None:
        return []
    return [
        Check("cast", column, models.lost(number), literal(f"no value for {loss.sql}"))
        for number, (column, loss) in enumerate(models.model_of(silver.sql).losses)
    ]


def select_sql(judged: Judged, table: Table, relation: str, condition: str) -> str:
    """The SELECT of silver's columns from those rows of bronze (`relation`) for which `condition` holds, to be read."""
    silver = silver_of(table)
    columns = ",\n  ".join(f"{_shown(column, silver)} AS {quote(column.name)}" for column in judged.selected)
    kept = f"\n  AND ({silver.where})" if silver.where else ""
    made_by = silver.transform or ("silver.sql" if silver.sql else "")
    first = f"-- from what {made_by} makes of these rows\n" if made_by else ""
    return (
        f"{first}SELECT\n  {columns}\nFROM {relation}\nWHERE {condition}\n  AND {quote(CORRUPT_RECORD)} IS NULL{kept}"
    )


def _shown(column: Projected, silver: Silver) -> str:
    return as_sql(silver.columns[column.name]) if column.looked_up and silver.columns else column.sql


def silver_of(table: Table) -> Silver:
    """The table's `silver`; of one that stops at bronze, a silver that has bronze's columns as they came."""
    return table.silver or _AS_THEY_CAME


def _malformed() -> Check:
    corrupt = quote(CORRUPT_RECORD)
    message = (
        f"CASE WHEN startswith({corrupt}, {literal(UNREADABLE)}) THEN {corrupt} "
        f"WHEN contains({corrupt}, {literal(REPLACEMENT_CHARACTER)}) "
        "THEN 'bytes that are not in the encoding of the file (set options.encoding)' "
        "ELSE concat('malformed line: ', left(" + corrupt + ", 200)) END"
    )
    return Check(MALFORMED, None, f"{corrupt} IS NOT NULL", message)


def _null_keys(silver: Silver) -> list[Check]:
    """A row without its key, or a version without its beginning, has no place."""
    found = [
        Check("key", key, f"{quote(key)} IS NULL", literal(f"the key column {key} is NULL")) for key in silver.keys
    ]
    if silver.load == "scd2":
        begins = silver.sequence_by[0]
        message = literal(f"{begins} is NULL, and says since when the row is valid")
        found.append(Check("sequence", begins, f"{quote(begins)} IS NULL", message))
    return found


def _outside(within: str | None) -> list[Check]:
    """A row outside of what its batch replaces would come again with every load of the batch."""
    if within is None:
        return []
    return [Check("replace_where", None, f"NOT coalesce(({within}), false)", literal(f"lies outside of {within}"))]


def _filtered(where: str | None) -> str:
    """Where the condition has no value because one got lost, the row is not filtered but rejected."""
    if not where:
        return "false"
    drops = [f"{quote(CORRUPT_RECORD)} IS NULL", f"NOT coalesce(({where}), false)"]
    return f"({' AND '.join([*drops, *(f'NOT {loss.condition}' for loss in losses(where))])})"


def _errors(checks: Sequence[Check]) -> str:
    """An array of the reasons by `checks`, which most rows have none of: it is made for the others alone.

    No higher-order function goes over it: Spark copies the whole of its argument each time that it compares two, which
    takes minutes where there are a thousand checks. And no row of ORs asks for them: a tree as deep as they are many.
    """
    none = f"cast(array() AS array<{_REASON}>)"
    if not checks:
        return none
    reasons = ", ".join(
        f"CASE WHEN {check.condition} THEN named_struct('rule', {literal(check.rule)}, "
        f"'column', cast({literal(check.column)} AS STRING), 'message', {check.message}) END"
        for check in checks
    )
    found = f"array_except(array({reasons}), array(cast(NULL AS {_REASON})))"
    return f"CASE WHEN greatest(false, {', '.join(check.condition for check in checks)}) THEN {found} ELSE {none} END"


def _reasons(silver: Silver, after: Sequence[Check]) -> str:
    """All reasons against a row: the early ones and those of the checks `after`."""
    malformed = f"coalesce(get({_EARLY}, 0).rule = '{MALFORMED}', false)"
    found = f"concat({_EARLY}, {_errors(after)})"
    return (
        f"CASE WHEN {FILTERED} THEN slice({_EARLY}, 1, 0) WHEN {malformed} THEN slice({_EARLY}, 1, 1) "
        f"WHEN {DELETES} THEN {_of_columns(found, (*silver.keys, *silver.sequence_by))} ELSE {found} END"
    )


def _row_rules(table: Table) -> list[Rule]:
    return [rule for rule in table.quality.rules if rule.scope == "row"]


def _unsound(rows: DataFrame, rules: Iterable[Rule]) -> dict[str, str]:
    return unsound(rows, {rule.name: Measures({rule.name: f"count_if({failing_condition(rule)})"}) for rule in rules})


def _broken_rules(rules: Iterable[Rule]) -> list[Check]:
    return [
        Check(rule.name, None, failing_condition(rule), literal(f"breaks {rule.title}"))
        for rule in rules
        if rule.severity == "error"
    ]


def _of_columns(errors: str, names: Sequence[str]) -> str:
    """Those of `errors` that concern the columns `names`: all that a deletion is checked on."""
    return f"filter({errors}, e -> array_contains(array({', '.join(map(literal, names))}), e.column))"


def _sequence(columns: Sequence[str]) -> Column:
    by = (F.col(quote(name)).alias(f"by_{i + 1}") for i, name in enumerate(columns))
    return F.struct(*by, F.col(BATCH_ORDER).alias("batch"), F.left(_TIE_BREAKER, F.lit(_DIGITS)).alias("row"))


def _rank(silver: Silver) -> str:
    if not silver.keys:
        return "1"
    moment = [f"{SEQUENCE}.by_1"] if silver.load == "scd2" else []
    partition = ", ".join([*(quote(key) for key in silver.keys), *moment, ACCEPTED])
    direction = "ASC" if silver.load == "insert" else "DESC"
    return f"row_number() OVER (PARTITION BY {partition} ORDER BY {SEQUENCE} {direction})"
