"""A batch's changes of one key as one row, where silver's row follows from more than the newest of them."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.silver.rows import SEQUENCE
from airflow_ingest.lakehouse.sql import quote

NEWEST_DELETION = "__deletion"
SINCE = "__since"
WHOLE = "__whole"
HELPERS = (NEWEST_DELETION, SINCE, WHOLE)
"""The newest deletion among a key's changes (its sequence and batch); the oldest change; and whether the row has all
its values from them, since a deletion comes before it."""

_LIFE, _NTH = "__life", "__nth"


def folded(changes: DataFrame, columns: Sequence[str], silver: Silver, deletes: str) -> DataFrame:
    """One row per key of `changes`, of which the column `deletes` tells the deletions, with `HELPERS` beside it.

    It is the newest change that is no deletion, and the newest of all where each is one. Where changes are partial, its
    `columns` that are NULL have the last value before it, back to the deletion before it.
    """
    keys = [quote(key) for key in silver.keys]
    deletion = F.col(deletes)
    so_far = Window.partitionBy(*keys).orderBy(SEQUENCE)
    newest_first = Window.partitionBy(*keys).orderBy(deletion, F.col(SEQUENCE).desc())
    of_key = Window.partitionBy(*keys)
    told = F.struct(F.col(SEQUENCE).alias("sequence"), F.col(BATCH_ID).alias("batch"))
    rows = changes.withColumn(_LIFE, F.count_if(deletion).over(so_far)).withColumns(
        {
            NEWEST_DELETION: F.max(F.when(deletion, told)).over(of_key),
            SINCE: F.min(SEQUENCE).over(of_key),
            WHOLE: F.col(_LIFE) > 0,
            _NTH: F.row_number().over(newest_first),
        }
    )
    if silver.partial:
        rows = filled(rows, columns, silver, _LIFE, ~deletion)
    return rows.where(F.col(_NTH) == 1).drop(_LIFE, _NTH)


def gathered(changes: DataFrame, columns: Sequence[str], silver: Silver, deletes: str) -> DataFrame:
    """`changes`, which are partial, each with the last value of those of its key and moment before it."""
    moment = F.col(f"{SEQUENCE}.by_1")
    so_far = Window.partitionBy(*map(quote, silver.keys), moment).orderBy(SEQUENCE)
    deletion = F.col(deletes)
    life = F.struct(moment.alias("moment"), F.count_if(deletion).over(so_far).alias("deletions"))
    return filled(changes.withColumn(_LIFE, life), columns, silver, _LIFE, ~deletion).drop(_LIFE)


def filled(changes: DataFrame, columns: Sequence[str], silver: Silver, life: str, counts: Column) -> DataFrame:
    """`changes` with the last value so far in each of `columns` but the keys, among those of the same `life` of their
    key for which `counts` holds."""
    keys = {key.lower() for key in silver.keys}
    so_far = Window.partitionBy(*map(quote, silver.keys), life).orderBy(SEQUENCE)
    others = [name for name in columns if name.lower() not in keys]
    return changes.withColumns(
        {name: F.last(F.when(counts, F.col(quote(name))), ignorenulls=True).over(so_far) for name in others}
    )
