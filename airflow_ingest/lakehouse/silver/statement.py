"""The MERGE into silver: its text, and what it would do to a table as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.model import Batch, PartitionRange
from airflow_ingest.lakehouse.silver.judged import SEQUENCE
from airflow_ingest.lakehouse.silver.rows import ALIVE, DELETION, same_key
from airflow_ingest.lakehouse.sql import column, literal
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

SOURCE_VIEW = "ingest_merge_source"
_THERE = "__there"


@dataclass(frozen=True)
class Redo:
    """A batch that silver may have had before; the SQL `differs` tells a row `s` that has other values than `t`."""

    batch: Batch
    differs: str

    @classmethod
    def of(cls, batch: Batch, columns: Sequence[str], source: StructType, target: StructType) -> Redo:
        """The redo of `batch`, whose rows have the schema `source`, in a table that has the schema `target`.

        The `columns` are those with values; where their types have changed, every row counts as another.
        """
        new, old = ({field.name.lower(): field.dataType for field in side.fields} for side in (source, target))
        names = {name: name.lower() for name in columns}
        if any(old.get(key) != new[key] for key in names.values()):
            return cls(batch, "true")
        same = [_same_value(name, "map<" in new[key].simpleString()) for name, key in names.items()]
        return cls(batch, f"NOT ({' AND '.join(same)})")


@dataclass(frozen=True)
class Merge:
    """A MERGE of rows `s` into silver `t`, as SQL conditions; `delete` and `insert` are empty where they say nothing.

    Of the clauses for a row that matches, the first that is true applies: `delete`, then `update`. What a row of `s`
    does is told by its audit columns: see `lakehouse.silver.rows`.
    """

    on: str
    update: str
    delete: str = ""
    insert: str = ""
    evolve: bool = True

    @classmethod
    def of(cls, silver: Silver, ranges: Sequence[PartitionRange] = (), redo: Redo | None = None) -> Merge:
        """A row goes in where its key is new or its sequence is above the one there.

        With `redo`, the rows that a batch has in the table give way to what the source and the configuration say of
        their keys now. `ranges` bound what the MERGE reads.
        """
        on = "\n  AND ".join([same_key(silver.keys), *_pruning(ranges)])
        evolve = silver.schema_ == "evolve"
        newer = f"{column('s', SEQUENCE)} > {column('t', SEQUENCE)}"
        if redo is None and silver.delete_when is None:
            return cls(on, newer, evolve=evolve)
        if redo is None:
            return cls(on, f"{ALIVE} AND {newer}", delete=f"{DELETION} AND {newer}", insert=ALIVE, evolve=evolve)
        theirs = f"{column('t', BATCH_ID)} = {literal(redo.batch.id)}"
        gone = f"{column('s', BATCH_ID)} IS NULL AND {theirs}"
        delete = gone if silver.delete_when is None else f"(({gone}) OR ({DELETION} AND ({newer} OR {theirs})))"
        other_row = f"({column('s', SEQUENCE)} <> {column('t', SEQUENCE)} OR {redo.differs})"
        return cls(
            on, f"{ALIVE} AND ({newer} OR ({theirs} AND {other_row}))", delete=delete, insert=ALIVE, evolve=evolve
        )

    def sql(self, path: str) -> str:
        """The statement that merges the view `SOURCE_VIEW` into the table at `path`."""
        evolution = "WITH SCHEMA EVOLUTION " if self.evolve else ""
        lines = [
            f"MERGE {evolution}INTO {sql_table(path)} AS t",
            f"USING {SOURCE_VIEW} AS s",
            f"ON {self.on}",
            *([f"WHEN MATCHED AND {self.delete} THEN DELETE"] if self.delete else []),
            f"WHEN MATCHED AND {self.update} THEN UPDATE SET *",
            f"WHEN NOT MATCHED{f' AND {self.insert}' if self.insert else ''} THEN INSERT *",
        ]
        return "\n".join(lines)

    def metrics(self, source: DataFrame, target: DataFrame) -> Mapping[str, int]:
        """What Delta would count if `source` were merged into `target` now, under its own names. Nothing is written."""
        there = f"{column('t', _THERE)} IS NOT NULL"
        delete = f"({there} AND coalesce({self.delete or 'false'}, false))"
        counts = {
            "numSourceRows": "count(1)",
            "numTargetRowsInserted": f"count_if(NOT {there} AND coalesce({self.insert or 'true'}, false))",
            "numTargetRowsUpdated": f"count_if({there} AND NOT {delete} AND coalesce({self.update}, false))",
            "numTargetRowsDeleted": f"count_if({delete})",
        }
        first, *others = (F.expr(sql).alias(name) for name, sql in counts.items())
        joined = source.alias("s").join(target.withColumn(_THERE, F.lit(1)).alias("t"), F.expr(self.on), "left")
        return {name: int(value) for name, value in joined.agg(first, *others).collect()[0].asDict().items()}


def _same_value(name: str, has_map: bool) -> str:
    ours, theirs = column("s", name), column("t", name)
    if has_map:  # maps do not compare
        return f"to_json(struct({ours})) <=> to_json(struct({theirs}))"
    return f"{ours} <=> {theirs}"


def _pruning(ranges: Sequence[PartitionRange]) -> list[str]:
    return [
        condition
        for found in ranges
        for condition in (
            f"{column('t', found.column)} >= {literal(found.low)}",
            f"{column('t', found.column)} <= {literal(found.high)}",
        )
    ]
