"""Sensitive columns are hidden before anything is written: what is masked never lands, not even in bronze.

- `sha256`: the hex digest of the value as UTF-8 text (FIPS 180-4), the same for the same value, so that it still joins;
  whoever can guess a value can compare its digest
- `partial`: the last four characters of a text that has at least eight; of a shorter one nothing
- `redact`: nothing but that there was a value
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD
from airflow_ingest.lakehouse.sources.files import UNREADABLE
from airflow_ingest.lakehouse.sql import quote

_SHOWN, _LONG_ENOUGH = 4, 8


def masks_of(table: Table) -> Mapping[str, str]:
    """How each column of the source that silver masks is hidden, by its name in lower case."""
    columns = (table.silver.columns if table.silver else None) or {}
    return {(column.from_ or name).lower(): column.mask for name, column in columns.items() if column.mask}


def masked(rows: DataFrame, masks: Mapping[str, str], columns: Sequence[str]) -> DataFrame:
    """`rows` of a source that has `columns`, with `masks` on.

    A line that could not be parsed may hold anything anywhere, so only its length and its digest are left of it. Raises
    SchemaMismatch if a masked column is not there: under another name it would land in the clear.
    """
    if not masks:
        return rows
    known = {name.lower() for name in columns}
    if lost := [name for name in masks if name not in known] if columns else []:
        raise SchemaMismatch(
            f"the source has no column {', '.join(map(repr, lost))}, which is masked: under another name its values "
            f"would land in the clear. It has: {', '.join(columns)}. Nothing was written. Correct the source, or the "
            "name under silver.columns (`from` is the source's)."
        )
    well_formed = F.col(CORRUPT_RECORD).isNull()
    parsed = {name: F.when(well_formed, F.col(quote(name))) for name in columns}
    rows = hidden(rows.withColumns(parsed), masks) if parsed else rows
    return rows.withColumn(CORRUPT_RECORD, _withheld(F.col(CORRUPT_RECORD)))


def hidden(rows: DataFrame, masks: Mapping[str, str]) -> DataFrame:
    """`rows` with `masks` on their columns alone."""
    found = [(name, masks[name.lower()]) for name in rows.columns if name.lower() in masks]
    return rows.withColumns({name: _MASKS[how](F.col(quote(name))) for name, how in found}) if found else rows


def _withheld(line: Column) -> Column:
    told = F.concat(
        F.lit("withheld, since the table has masked columns: "),
        F.length(line),
        F.lit(" characters, sha256 "),
        F.sha2(line, 256),
    )
    return F.when(line.startswith(UNREADABLE), line).otherwise(told)


def _sha256(value: Column) -> Column:
    return F.sha2(value.cast("string"), 256)


def _partial(value: Column) -> Column:
    text = value.cast("string")
    stars = F.repeat(F.lit("*"), F.length(text) - F.lit(_SHOWN))
    shown = F.concat(stars, F.right(text, F.lit(_SHOWN)))
    return F.when(F.length(text) >= _LONG_ENOUGH, shown).otherwise(F.repeat(F.lit("*"), F.length(text)))


def _redact(value: Column) -> Column:
    return F.when(value.isNotNull(), F.lit("***"))


_MASKS: Mapping[str, Callable[[Column], Column]] = {"sha256": _sha256, "partial": _partial, "redact": _redact}
