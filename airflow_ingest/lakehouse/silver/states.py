"""`load: merge` where a key's row follows from more than its newest change.

With `deletes: soft` it has the values of the newest change that is no deletion, and says since when a later one deletes
it. With `ignore_null_updates` a value that is NULL in that change is the one before it, back to the last deletion. A
key's row follows from its changes alone, in whatever order these come:

- changes newer than all that is known of their key go on from its row
- where a partial one comes late, or a batch is loaded again, or a row is deleted since nobody knows when (its tombstone
  is forgotten), the key's row is made anew from all changes in bronze
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.model import RowCounts
from airflow_ingest.lakehouse.silver.changes import Changes, Outcome, as_text
from airflow_ingest.lakehouse.silver.folding import HELPERS, NEWEST_DELETION, SINCE, WHOLE
from airflow_ingest.lakehouse.silver.rows import DELETED_AT, INGESTED_AT, INGESTED_BY, SEQUENCE
from airflow_ingest.lakehouse.sql import quote

_AUDIT = (SEQUENCE, BATCH_ID, INGESTED_AT, INGESTED_BY)
_NEWS, _KNOWN, _GRAVE, _CHANGE, _LATE = "__news", "__known", "__grave", "__change", "__late"
_FATE, _WRITE, _DELETES = "__fate", "__write", "__deletes"


def shape(changes: DataFrame, silver: Silver) -> DataFrame:
    """`changes` with the columns that silver has, for their types.

    Raises SchemaMismatch if the source has one that silver writes itself.
    """
    rows = changes.drop(*HELPERS)
    if not silver.soft:
        return rows
    if DELETED_AT in {name.lower() for name in rows.columns}:
        raise SchemaMismatch(
            f"deletes: soft writes the column {DELETED_AT} itself, and the source has it too. Take it under another "
            f"name: columns: {{deleted_at: {{from: {DELETED_AT}}}}}. Silver is unchanged."
        )
    return rows.withColumn(DELETED_AT, F.lit(None).cast("timestamp"))


def states_of(given: Changes) -> Outcome:
    """What changes make of the rows in a table; of a row that is no more `source` has the key alone."""
    keys = given.silver.keys
    given = replace(given, rows=checkpointed(given.rows))
    existing = given.existing()
    if DELETED_AT not in existing.columns:
        existing = existing.withColumn(DELETED_AT, F.lit(None).cast("timestamp"))
    existing = checkpointed(existing)
    graves = _graves(given)
    late = _late(given, existing, graves)
    late = checkpointed(late.distinct()) if late is not None else None
    if late is not None and late.isEmpty():
        late = None
    news = given.rows
    if late is not None:
        anew = given.derivation.of(late)
        news = checkpointed(news.join(late, keys, "left_anti").unionByName(anew, allowMissingColumns=True))
    made = checkpointed(_made(given, news, existing, graves, late))
    deletions = news.where(F.col(NEWEST_DELETION).isNotNull()).withColumns(
        {
            SEQUENCE: F.col(f"{NEWEST_DELETION}.sequence"),
            BATCH_ID: F.col(f"{NEWEST_DELETION}.batch"),
            INGESTED_AT: F.lit(None).cast("timestamp"),
        }
    )
    counts, deletes = _counts(made)
    return Outcome(
        source=made.where(_WRITE).drop(_FATE, _WRITE, _DELETES),
        deletions=deletions.drop(*HELPERS),
        deletes=deletes,
        undeleted=(given.rows.limit(0) if late is None else late).join(deletions, keys, "left_anti"),
        counts=counts,
        derived=late is not None,
    )


def _graves(given: Changes) -> DataFrame | None:
    """Since when each key is deleted, as far as is known."""
    if given.tombstones is None or given.tombstones.version < 0:
        return None
    told = (F.col(SEQUENCE).alias("sequence"), F.col(BATCH_ID).alias("batch"), F.col(INGESTED_AT).alias("at"))
    return given.tombstones.read().select(*given.keys, F.struct(*told).alias(_GRAVE))


def _late(given: Changes, existing: DataFrame, graves: DataFrame | None) -> DataFrame | None:
    """The keys to be made anew; None if there are none."""
    found = [keys for keys in (given.again_keys(), _forgotten(given, existing, graves)) if keys is not None]
    if given.silver.partial:
        found.append(_out_of_order(given, existing, graves))
    return reduce(DataFrame.unionByName, found) if found else None


def _forgotten(given: Changes, existing: DataFrame, graves: DataFrame | None) -> DataFrame | None:
    """The keys whose row is softly deleted, and that have no tombstone any more."""
    if not given.silver.soft:
        return None
    deleted = existing.where(F.col(DELETED_AT).isNotNull()).select(*given.keys)
    return deleted if graves is None else deleted.join(graves, given.silver.keys, "left_anti")


def _out_of_order(given: Changes, existing: DataFrame, graves: DataFrame | None) -> DataFrame:
    """The keys of which something as new as one of the changes is known."""
    known = existing.select(*given.keys, F.col(SEQUENCE).alias(_KNOWN))
    changes = given.rows.select(*given.keys, SINCE).join(known, given.silver.keys, "left")
    late = F.coalesce(F.col(_KNOWN) >= F.col(SINCE), F.lit(False))
    if graves is not None:
        changes = changes.join(graves, given.silver.keys, "left")
        late = late | F.coalesce(F.col(f"{_GRAVE}.sequence") >= F.col(SINCE), F.lit(False))
    return changes.where(late).select(*given.keys)


def _made(
    given: Changes, news: DataFrame, existing: DataFrame, graves: DataFrame | None, late: DataFrame | None
) -> DataFrame:
    """For each key concerned its row as it is to be, whether it is to be written, and what became of its change."""
    silver, keys = given.silver, given.silver.keys
    lowered = {key.lower() for key in keys}
    values = [name for name in news.columns if name not in (*_AUDIT, *HELPERS) and name.lower() not in lowered]
    there = {name.lower(): name for name in existing.columns}
    rows = _packed(news, keys, _NEWS)
    if late is not None:
        rows = rows.select(*given.keys).unionByName(late).distinct().join(rows, keys, "left")
        rows = rows.join(late.withColumn(_LATE, F.lit(True)), keys, "left")
        rows = rows.join(_packed(given.rows.select(*given.keys, *_AUDIT, NEWEST_DELETION), keys, _CHANGE), keys, "left")
    else:
        rows = rows.withColumns({_LATE: F.lit(False), _CHANGE: F.col(_NEWS)})
    rows = rows.join(_packed(existing, keys, _KNOWN), keys, "left")
    if graves is not None:
        rows = rows.join(graves, keys, "left")
    conditions = _conditions(silver, graves is not None)
    for name, sql in conditions.items():
        rows = rows.withColumn(name, F.expr(sql))

    def kept(name: str) -> Column:
        return F.col(f"{_KNOWN}.{quote(there[name.lower()])}") if name.lower() in there else F.lit(None)

    def value(name: str) -> Column:
        new = F.col(f"{_NEWS}.{quote(name)}")
        return F.when(F.col("__fill"), F.coalesce(new, kept(name))).when(F.col("__new"), new).otherwise(kept(name))

    audit = {name: F.when(F.col("__stays"), value(name)) for name in _AUDIT}
    differ = as_text(value(name) for name in values) != as_text(kept(name) for name in values)
    same_state = F.expr(f"({_KNOWN}.{DELETED_AT} IS NULL) = __lives AND {_KNOWN}.{SEQUENCE} <=> __sequence")
    write = F.when(F.col("__stays"), F.col(_KNOWN).isNull() | differ | ~F.coalesce(same_state, F.lit(False))).otherwise(
        F.col(_KNOWN).isNotNull()
    )
    rows = rows.withColumn(_WRITE, write)
    deleted_at = {DELETED_AT: F.expr(_deleted_at(graves is not None))} if silver.soft else {}
    return rows.select(
        *given.keys,
        *(F.when(F.col("__stays"), value(name)).alias(name) for name in values),
        *(found.alias(name) for name, found in {**deleted_at, **audit}.items()),
        F.expr(_fate(silver)).alias(_FATE),
        _WRITE,
        F.col(f"{_NEWS}.{NEWEST_DELETION}").isNotNull().alias(_DELETES),
    )


def _conditions(silver: Silver, buried: bool) -> Mapping[str, str]:
    """What holds for a key's row, one after the other, in SQL over what is known of it."""
    newer = f"{_KNOWN} IS NULL OR {_NEWS}.{SEQUENCE} > {_KNOWN}.{SEQUENCE}"
    deletion, late = f"{_NEWS}.{NEWEST_DELETION}", f"coalesce({_LATE}, false)"
    older = f"named_struct('sequence', {_GRAVE}.sequence, 'batch', {_GRAVE}.batch)"
    newest = (
        f"CASE WHEN {late} OR {_GRAVE} IS NULL OR {_GRAVE}.sequence <= {deletion}.sequence "
        f"THEN {deletion} ELSE {older} END"
    )
    fill = (
        f"__new AND NOT {late} AND NOT {_NEWS}.{WHOLE} AND {_KNOWN} IS NOT NULL AND {_KNOWN}.{DELETED_AT} IS NULL"
        if silver.partial
        else "false"
    )
    return {
        "__new": f"coalesce({_NEWS}.{INGESTED_AT} IS NOT NULL AND ({late} OR {newer}), false)",
        "__old": f"NOT __new AND NOT {late} AND {_KNOWN} IS NOT NULL",
        "__fill": f"coalesce({fill}, false)",
        "__sequence": f"CASE WHEN __new THEN {_NEWS}.{SEQUENCE} WHEN __old THEN {_KNOWN}.{SEQUENCE} END",
        "__batch": f"CASE WHEN __new THEN {_NEWS}.{BATCH_ID} WHEN __old THEN {_KNOWN}.{BATCH_ID} END",
        "__newest": newest if buried else deletion,
        "__lives": "__sequence IS NOT NULL AND NOT coalesce(__newest.sequence > __sequence, false)",
        "__stays": "__sequence IS NOT NULL" if silver.soft else "__lives",
    }


def _deleted_at(buried: bool) -> str:
    known = f"{_KNOWN}.{DELETED_AT}, CASE WHEN {_GRAVE}.batch = __newest.batch THEN {_GRAVE}.at END"
    return (
        f"CASE WHEN __stays AND NOT __lives THEN "
        f"coalesce({known if buried else f'{_KNOWN}.{DELETED_AT}'}, current_timestamp()) END"
    )


def _fate(silver: Silver) -> str:
    """What became of a key's change, as `RowCounts` names it; NULL where the batch has none and takes none back."""
    deletion = f"{_CHANGE}.{NEWEST_DELETION}"
    writes = (
        f"({_CHANGE}.{INGESTED_AT} IS NOT NULL AND NOT coalesce({deletion}.sequence > {_CHANGE}.{SEQUENCE}, false))"
    )
    before = f"coalesce({_KNOWN} IS NOT NULL AND {_KNOWN}.{DELETED_AT} IS NULL, false)"
    own = f"coalesce(__batch = {_CHANGE}.{BATCH_ID}, false)"
    took_part = "true" if silver.partial else own
    return f"""CASE
        WHEN {_CHANGE} IS NULL THEN
            CASE WHEN {before} AND NOT (__lives AND __batch = {_KNOWN}.{BATCH_ID}) THEN 'retracted' END
        WHEN {writes} AND __lives AND {own} AND NOT {before} THEN 'inserted'
        WHEN {writes} AND __lives AND {took_part} AND {before} AND {_WRITE} THEN 'updated'
        WHEN {writes} AND __lives AND {own} THEN 'unchanged'
        WHEN {writes} THEN 'superseded'
        WHEN {before} AND NOT __lives THEN 'deleted'
        WHEN NOT __lives AND __newest.batch = {deletion}.batch THEN 'unchanged'
        ELSE 'superseded' END"""


def _counts(made: DataFrame) -> tuple[RowCounts, bool]:
    """What became of the changes, and whether there are deletions among them."""
    names = ("inserted", "updated", "deleted", "unchanged", "superseded", "retracted")
    measures = (F.count_if(F.col(_FATE) == name).alias(name) for name in names)
    found = made.agg(*measures, F.count_if(_DELETES).alias(_DELETES)).collect()[0].asDict()
    deletions = found.pop(_DELETES)
    return RowCounts(read=sum(found.values()) - found["retracted"], **found), deletions > 0


def _packed(rows: DataFrame, keys: Sequence[str], name: str) -> DataFrame:
    """`rows` as their `keys` and one struct of that `name`."""
    return rows.select(*map(quote, keys), F.struct(*(quote(found) for found in rows.columns)).alias(name))
