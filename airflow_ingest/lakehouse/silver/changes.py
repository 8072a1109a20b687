"""Changes and what follows from them, for tables whose rows follow from more than the newest change of their key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.model import RowCounts
from airflow_ingest.lakehouse.silver.derivation import Derivation
from airflow_ingest.lakehouse.silver.earlier import NEVER, Earlier
from airflow_ingest.lakehouse.silver.tombstones import Tombstones
from airflow_ingest.lakehouse.sql import EXACT_JSON, quote


@dataclass(frozen=True)
class Changes:
    """The changes of a batch, and all that is known of their keys.

    - `rows`: see `published_rows`; `columns` are silver's among theirs
    - `table`: silver as it is; `within` holds for all its rows of the changes' keys, where that is known
    - `derivation`: all changes that bronze holds; it is asked where those of the batch alone do not do
    - `earlier`: the keys that the batch had when it was loaded before
    """

    silver: Silver
    columns: Sequence[str]
    rows: DataFrame
    table: DataFrame
    tombstones: Tombstones | None
    derivation: Derivation
    earlier: Earlier = NEVER
    within: str | None = None

    @property
    def keys(self) -> list[str]:
        """The names of the key's columns, quoted."""
        return [quote(key) for key in self.silver.keys]

    @property
    def again(self) -> bool:
        """Whether the batch, or some load of it, may have been in silver before."""
        return self.earlier.keys is not None or self.earlier.unknown

    def existing(self) -> DataFrame:
        """Silver's rows of the keys concerned, with columns for all that the changes have."""
        known = {name.lower() for name in self.table.columns}
        kinds = {field.name: field.dataType for field in self.rows.schema.fields if field.name in self.columns}
        new = {name: F.lit(None).cast(kind) for name, kind in kinds.items() if name.lower() not in known}
        table = self.table.withColumns(new) if new else self.table
        if self.earlier.unknown:
            return table
        table = table.where(F.expr(self.within)) if self.within and not self.again else table
        touched = self.rows.select(*self.keys)
        touched = touched if self.earlier.keys is None else touched.unionByName(self.earlier.keys)
        return table.join(touched.distinct(), self.silver.keys, "left_semi")

    def again_keys(self) -> DataFrame | None:
        """The keys to be worked out from all changes, as the batch is loaded again; None if it is not."""
        own = self.rows.select(*self.keys)
        if self.earlier.unknown:
            every = self.table.select(*self.keys).unionByName(self.derivation.everything().select(*self.keys))
            return every.unionByName(own).distinct()
        return None if self.earlier.keys is None else own.unionByName(self.earlier.keys).distinct()


@dataclass(frozen=True)
class Outcome:
    """What to MERGE into the table.

    - `source`: rows as they are to be; one that is no more has what identifies it alone
    - `deletions`: the newest deletion of every key that has one among the changes, as a change; `deletes` says whether
      there may be any
    - `undeleted`: keys worked out from all changes, among which there is no deletion
    - `counts`: what becomes of the batch's changes
    - `derived`: whether any key was worked out from all changes, so that rows of any key and time may change
    """

    source: DataFrame
    deletions: DataFrame
    deletes: bool
    undeleted: DataFrame
    counts: RowCounts
    derived: bool


def values_of(columns: Sequence[str]) -> Column:
    """The values of the `columns` so named, `as_text`."""
    return as_text(F.col(quote(name)) for name in columns)


def as_text(values: Iterable[Column]) -> Column:
    """`values` as one text, in which NULL is told from everything else; maps do not compare."""
    fields = [value.alias(f"c{index}") for index, value in enumerate(values)]
    return F.to_json(F.struct(*fields), EXACT_JSON) if fields else F.lit("")
