"""What a row `s` on its way to silver does there, told by its audit columns alone.

A column of our own would become silver's (`MERGE WITH SCHEMA EVOLUTION` adds what it finds). So a row that is alive has
`_ingested_at`; a deletion has not; a row that a later deletion has overtaken is dead, and has no `_ingested_by` either;
and the key of a row without `_batch_id` is gone from its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.sql import column

SEQUENCE = "_sequence"
INGESTED_AT = "_ingested_at"
INGESTED_BY = "_ingested_by"
VALID_FROM = "_valid_from"
VALID_TO = "_valid_to"
CURRENT = "_current"
DELETED_AT = "_deleted_at"

ALIVE = f"{column('s', INGESTED_AT)} IS NOT NULL"
DEAD = f"{column('s', INGESTED_BY)} IS NULL"
DELETION = f"({column('s', INGESTED_AT)} IS NULL AND {column('s', INGESTED_BY)} IS NOT NULL)"


def wins(silver: Silver, one: str, other: str) -> str:
    """What holds if the row `one` keeps its key against the row `other`, both aliases: the newest does, and with
    `load: insert` the first."""
    sign = "<" if silver.load == "insert" else ">"
    return f"{column(one, SEQUENCE)} {sign} {column(other, SEQUENCE)}"


def same_key(keys: Sequence[str]) -> str:
    """What holds for rows of `t` and `s` with the same `keys`, which are never NULL."""
    return "\n  AND ".join(f"{column('t', key)} = {column('s', key)}" for key in keys)
