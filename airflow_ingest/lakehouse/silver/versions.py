"""`load: scd2`: a row for every version that a key has had, told by when it was valid.

A version begins with a change of a tracked column and ends where the next one begins, or where its key is deleted; what
changes no tracked column begins none, and its other values take the place of the version's. The versions of a key
follow from its changes alone, in whatever order these come:

- changes newer than all that is known of their key go on from its current version
- where one comes late, or a batch is loaded again, the key's versions are made anew from all changes in bronze
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.model import RowCounts
from airflow_ingest.lakehouse.silver.changes import Changes, Outcome, values_of
from airflow_ingest.lakehouse.silver.folding import filled
from airflow_ingest.lakehouse.silver.rows import CURRENT, INGESTED_AT, INGESTED_BY, SEQUENCE, VALID_FROM, VALID_TO
from airflow_ingest.lakehouse.silver.tombstones import Tombstones
from airflow_ingest.lakehouse.sql import quote

_AT, _SINCE, _NTH, _VALUES, _LIFE = "__at", "__since", "__nth", "__values", "__life"
_KNOWN, _GRAVE = "__known", "__grave"
_MOMENT = f"{SEQUENCE}.by_1"


def history_of(given: Changes) -> Outcome:
    """What changes make of the versions in a table; of a version that is no more `source` has the key and
    `_valid_from`."""
    silver, columns, keys, names = given.silver, given.columns, given.silver.keys, given.keys
    given = replace(given, rows=checkpointed(given.rows))
    changes = given.rows
    existing = checkpointed(given.existing())
    current = existing.where(F.col(CURRENT))
    graves = _graves(given.tombstones, keys)
    fresh = _unknown(changes, current, graves, silver, columns)
    late = _late(fresh, existing, graves, keys)
    again = given.again_keys()
    late = checkpointed((late if again is None else late.unionByName(again)).distinct())
    is_late = not late.isEmpty()
    ahead = fresh.join(late, keys, "left_anti") if is_late else fresh
    stand_ins = current.join(ahead.select(*names).distinct(), keys, "left_semi")
    everything = ahead.unionByName(stand_ins.withColumn(_SINCE, F.col(VALID_FROM)), allowMissingColumns=True)
    if is_late:
        derived = given.derivation.of(late).unionByName(changes.join(late, keys, "left_semi"))
        everything = everything.unionByName(derived, allowMissingColumns=True)
    everything = checkpointed(everything)
    made = checkpointed(_versions(everything, silver, columns))
    if is_late:
        stale = existing.join(late, keys, "left_semi").select(*names, VALID_FROM)
        stale = stale.join(made, [*keys, VALID_FROM], "left_anti")
        made = made.unionByName(stale, allowMissingColumns=True)
    newest = Window.partitionBy(*names).orderBy(F.col(SEQUENCE).desc())
    deletions = (
        everything.where(F.col(INGESTED_AT).isNull())
        .withColumn(_NTH, F.row_number().over(newest))
        .where(F.col(_NTH) == 1)
        .select(*(quote(name) for name in changes.columns))
    )
    return Outcome(
        source=made,
        deletions=deletions,
        deletes=True,
        undeleted=late.join(deletions, keys, "left_anti"),
        counts=_counts(changes, made, existing, keys, columns),
        derived=is_late,
    )


def _graves(tombstones: Tombstones | None, keys: Sequence[str]) -> DataFrame | None:
    """Since when each key is deleted, as far as is known."""
    if tombstones is None or tombstones.version < 0:
        return None
    return tombstones.read().select(*map(quote, keys), F.col(_MOMENT).alias(_GRAVE))


def _unknown(
    changes: DataFrame, current: DataFrame, graves: DataFrame | None, silver: Silver, columns: Sequence[str]
) -> DataFrame:
    """`changes` without those that repeat the last one known of their key, as a source does that sends all its rows."""
    names = [quote(key) for key in silver.keys]
    last = current.select(*names, F.col(_MOMENT).alias(_KNOWN), values_of(columns).alias(_VALUES))
    deletion = F.col(INGESTED_AT).isNull()
    repeated = ~deletion & (F.col(_KNOWN) == F.col(_MOMENT)) & (F.col(_VALUES) == values_of(columns))
    joined = changes.join(last, silver.keys, "left")
    if graves is not None:
        joined = joined.join(graves, silver.keys, "left")
        gone_then = deletion & F.col(_KNOWN).isNull() & (F.col(_GRAVE) == F.col(_MOMENT))
        repeated = F.coalesce(repeated, F.lit(False)) | gone_then
    joined = joined.where(~F.coalesce(repeated, F.lit(False)))
    return joined.select(*(quote(name) for name in changes.columns))


def _late(changes: DataFrame, existing: DataFrame, graves: DataFrame | None, keys: Sequence[str]) -> DataFrame:
    """The keys of which something as new as one of `changes` is known.

    A version says itself when it ended: tombstones tell of keys that never had one, and may be forgotten.
    """
    names = [quote(key) for key in keys]
    last = existing.groupBy(*names).agg(F.max(F.coalesce(VALID_TO, _MOMENT)).alias(_KNOWN))
    joined = changes.join(last, list(keys), "left")
    late = F.col(_KNOWN) >= F.col(_MOMENT)
    if graves is not None:
        joined = joined.join(graves, list(keys), "left")
        late = F.coalesce(late, F.lit(False)) | (F.col(_GRAVE) >= F.col(_MOMENT))
    return joined.where(late).select(*names)


def _versions(changes: DataFrame, silver: Silver, columns: Sequence[str]) -> DataFrame:
    """The versions that `changes` make; one of them may stand for a version that began `_SINCE`."""
    names = [quote(key) for key in silver.keys]
    by_key = Window.partitionBy(*names).orderBy(SEQUENCE)
    one_moment = Window.partitionBy(*names, F.col(_MOMENT)).orderBy(F.col(SEQUENCE).desc())
    deleted = F.col(INGESTED_AT).isNull()
    if silver.partial:
        changes = changes.withColumn(_LIFE, F.count_if(deleted).over(by_key))
        changes = filled(changes, columns, silver, _LIFE, ~deleted)
    state = F.struct(deleted.alias("deleted"), F.when(~deleted, values_of(tracked(silver, columns))).alias("values"))
    marked = (
        changes.withColumns({_AT: F.col(_MOMENT), _NTH: F.row_number().over(one_moment)})
        .where(F.col(_NTH) == 1)
        .withColumn("__state", state)
        .withColumn("__begins", ~F.col("__state").eqNullSafe(F.lag("__state").over(by_key)))
        .withColumn("__version", F.sum(F.col("__begins").cast("int")).over(by_key))
        .withColumns(
            {
                "__last": F.coalesce(F.lead("__begins").over(by_key), F.lit(True)),
                VALID_TO: F.lead(_AT).over(by_key),
                VALID_FROM: F.min(F.coalesce(_SINCE, _AT) if _SINCE in changes.columns else F.col(_AT)).over(
                    Window.partitionBy(*names, "__version")
                ),
            }
        )
    )
    return marked.where(F.col("__last") & ~deleted).select(
        *(quote(name) for name in columns),
        VALID_FROM,
        VALID_TO,
        F.col(VALID_TO).isNull().alias(CURRENT),
        SEQUENCE,
        BATCH_ID,
        INGESTED_AT,
        INGESTED_BY,
    )


def tracked(silver: Silver, columns: Sequence[str]) -> list[str]:
    """The columns whose changes begin a version: `track`, else all but the keys, what orders the
    changes, and what is looked up elsewhere."""
    if silver.track is not None:
        there = {name.lower() for name in columns}
        return [name for name in silver.track if name.lower() in there]
    looked_up = [name for name, column in (silver.columns or {}).items() if column.lookup]
    left_out = {name.lower() for name in (*silver.keys, *silver.sequence_by, *looked_up)}
    return [name for name in columns if name.lower() not in left_out]


def shape(changes: DataFrame) -> DataFrame:
    """`changes` with the columns that their versions have besides, for their types.

    Raises SchemaMismatch if the source has columns of their names.
    """
    if clash := [name for name in changes.columns if name.lower() in (VALID_FROM, VALID_TO, CURRENT)]:
        raise SchemaMismatch(
            f"load: scd2 writes the columns {', '.join(clash)} itself, and the source has them too. Take them under "
            f"other names: columns: {{{clash[0].strip('_')}: {{from: {clash[0]}}}}}. Silver is unchanged."
        )
    begins = F.col(_MOMENT).alias(VALID_FROM)
    return changes.select(
        "*", begins, F.nullif(F.col(_MOMENT), F.col(_MOMENT)).alias(VALID_TO), F.lit(True).alias(CURRENT)
    )


def _counts(
    changes: DataFrame, made: DataFrame, existing: DataFrame, keys: Sequence[str], columns: Sequence[str]
) -> RowCounts:
    """What becomes of each change: it begins a version, alters one, ends one, or none of these."""
    names = [quote(key) for key in keys]
    then = existing.select(*names, VALID_FROM, values_of(columns).alias("__then"), F.col(VALID_TO).alias("__ended"))
    live = made.where(F.col(BATCH_ID).isNotNull())
    now = live.select(*names, VALID_FROM, VALID_TO, F.col(_MOMENT).alias(_KNOWN), values_of(columns).alias("__now"))
    both = now.join(then, [*keys, VALID_FROM], "left")
    written = both.select(
        *names,
        F.when(F.col("__then").isNull(), F.col(VALID_FROM)).otherwise(F.col(_KNOWN)).alias(_AT),
        F.expr("CASE WHEN __then IS NULL THEN 'inserted' WHEN __then <> __now THEN 'updated' END").alias("__what"),
    )
    ended = both.where(F.col(VALID_TO).isNotNull()).select(
        *names, F.col(VALID_TO).alias(_AT), F.expr(f"NOT (__ended <=> {VALID_TO})").alias("__ends")
    )
    joined = changes.select(*names, F.col(_MOMENT).alias(_AT), F.col(INGESTED_AT).isNull().alias("__deletion"))
    for frame in (written, ended):
        joined = joined.join(frame, [*keys, _AT], "left")
    measures = {
        "read": "count(1)",
        "inserted": "count_if(NOT __deletion AND __what = 'inserted')",
        "updated": "count_if(NOT __deletion AND __what = 'updated')",
        "deleted": "count_if(__deletion AND __ends)",
    }
    found = joined.agg(*(F.expr(sql).alias(name) for name, sql in measures.items())).collect()[0].asDict()
    retracted = made.where(F.col(BATCH_ID).isNull()).count()
    counts = RowCounts(**found, retracted=retracted)
    return counts.model_copy(update={"unchanged": counts.unaccounted})
