"""The MERGE into silver: its text, and what it would do to a table as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.model import Batch, PartitionRange
from airflow_ingest.lakehouse.schemas import compares, ddl
from airflow_ingest.lakehouse.silver.rows import ALIVE, DELETION, SEQUENCE, VALID_FROM, VALID_TO, same_key, wins
from airflow_ingest.lakehouse.sql import as_json, column, literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

SOURCE_VIEW = "ingest_merge_source"
_THERE = "__there"


@dataclass(frozen=True)
class Redo:
    """A batch that silver may have had before; the SQL `differs` tells a row `s` that has other values than `t`."""

    batch: Batch
    differs: str

    @classmethod
    def of(cls, batch: Batch, columns: Sequence[str], source: StructType, target: StructType) -> Redo:
        """The redo of `batch`, whose rows have the schema `source`, in a table that has the schema `target`."""
        return cls(batch, other_values(columns, source, target))


def other_values(columns: Sequence[str], source: StructType, target: StructType) -> str:
    """The condition under which a row `s` has other values than `t` in one of `columns`.

    Where their types have changed, every row counts as another.
    """
    new, old = ({field.name.lower(): field.dataType for field in side.fields} for side in (source, target))
    names = {name: name.lower() for name in columns}
    if any(key not in old or ddl(old[key]) != ddl(new[key]) for key in names.values()):
        return "true"
    same = [_same_value(name, new[key]) for name, key in names.items()]
    return f"NOT ({' AND '.join(same)})"


@dataclass(frozen=True)
class Merge:
    """A MERGE of rows `s` into silver `t`, as SQL conditions; empty where they say nothing.

    Of the clauses for a row that matches, the first that is true applies: `delete`, then `update`. What a row of `s`
    does is told by its audit columns: see `lakehouse.silver.rows`.
    """

    on: str
    update: str = ""
    delete: str = ""
    insert: str = ""
    evolve: bool = True

    @classmethod
    def of(
        cls,
        silver: Silver,
        ranges: Sequence[PartitionRange] = (),
        redo: Redo | None = None,
        *,
        in_order: bool = False,
    ) -> Merge:
        """A row goes in where its key is new, or where it wins against the row there.

        With `redo`, the rows that a batch has in the table give way to what the source and the configuration say of
        their keys now. `ranges` bound what the MERGE reads. A batch that comes `in_order` is newer than all before it,
        so that `load: insert` has only new keys to write, and rewrites no file.
        """
        on = "\n  AND ".join([same_key(silver.keys), *_bounds(ranges, "t")])
        evolve = silver.schema_ == "evolve"
        newer = wins(silver, "s", "t")
        if silver.load == "insert" and in_order and not silver.sequence_by and redo is None:
            return cls(on, evolve=evolve)
        if redo is None and not silver.deleting:
            return cls(on, newer, evolve=evolve)
        if redo is None:
            return cls(on, f"{ALIVE} AND {newer}", delete=f"{DELETION} AND {newer}", insert=ALIVE, evolve=evolve)
        theirs = f"{column('t', BATCH_ID)} = {literal(redo.batch.id)}"
        gone = f"{column('s', BATCH_ID)} IS NULL AND {theirs}"
        delete = gone if not silver.deleting else f"(({gone}) OR ({DELETION} AND ({newer} OR {theirs})))"
        other_row = f"({column('s', SEQUENCE)} <> {column('t', SEQUENCE)} OR {redo.differs})"
        return cls(
            on, f"{ALIVE} AND ({newer} OR ({theirs} AND {other_row}))", delete=delete, insert=ALIVE, evolve=evolve
        )

    @classmethod
    def of_versions(cls, silver: Silver, differs: str, ranges: Sequence[PartitionRange] = ()) -> Merge:
        """Versions go in by key and beginning; one of which `s` knows no batch is no more. See `other_values`."""
        begins = f"{column('t', VALID_FROM)} = {column('s', VALID_FROM)}"
        on = "\n  AND ".join([same_key(silver.keys), begins, *_bounds(ranges, "t")])
        same = [f"{column('t', name)} <=> {column('s', name)}" for name in (SEQUENCE, VALID_TO)]
        made = f"{column('s', BATCH_ID)} IS NOT NULL"
        return cls(
            on,
            f"{made} AND ({differs} OR NOT ({' AND '.join(same)}))",
            delete=f"{column('s', BATCH_ID)} IS NULL",
            insert=made,
            evolve=silver.schema_ == "evolve",
        )

    @classmethod
    def of_states(cls, silver: Silver, ranges: Sequence[PartitionRange] = ()) -> Merge:
        """Rows take the place of their key's as they are; one of which `s` knows no batch is no more."""
        made = f"{column('s', BATCH_ID)} IS NOT NULL"
        on = "\n  AND ".join([same_key(silver.keys), *_bounds(ranges, "t")])
        gone = f"{column('s', BATCH_ID)} IS NULL"
        return cls(on, made, delete=gone, insert=made, evolve=silver.schema_ == "evolve")

    def sql(self, path: str) -> str:
        """The statement that merges the view `SOURCE_VIEW` into the table at `path`."""
        evolution = "WITH SCHEMA EVOLUTION " if self.evolve else ""
        lines = [
            f"MERGE {evolution}INTO {sql_table(path)} AS t",
            f"USING {SOURCE_VIEW} AS s",
            f"ON {self.on}",
            *([f"WHEN MATCHED AND {self.delete} THEN DELETE"] if self.delete else []),
            *([f"WHEN MATCHED AND {self.update} THEN UPDATE SET *"] if self.update else []),
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
            "numTargetRowsUpdated": f"count_if({there} AND NOT {delete} AND coalesce({self.update or 'false'}, false))",
            "numTargetRowsDeleted": f"count_if({delete})",
        }
        first, *others = (F.expr(sql).alias(name) for name, sql in counts.items())
        joined = source.alias("s").join(target.withColumn(_THERE, F.lit(1)).alias("t"), F.expr(self.on), "left")
        return {name: int(value) for name, value in joined.agg(first, *others).collect()[0].asDict().items()}


def _same_value(name: str, kind: DataType) -> str:
    ours, theirs = column("s", name), column("t", name)
    return f"{ours} <=> {theirs}" if compares(kind) else f"{as_json(ours)} <=> {as_json(theirs)}"


def pruning(ranges: Sequence[PartitionRange]) -> str | None:
    """What holds for every row, of a table itself, that `ranges` can mean; None if they say nothing."""
    return " AND ".join(_bounds(ranges)) or None


def without_repartitioning(partition_by: Sequence[str]) -> Mapping[str, str]:
    """Settings for a MERGE: Delta gathers its rows by partition before it writes, and takes a dot in a name for a
    nested field."""
    dotted = any("." in name for name in partition_by)
    return {"spark.databricks.delta.merge.repartitionBeforeWrite.enabled": "false"} if dotted else {}


def _bounds(ranges: Sequence[PartitionRange], alias: str = "") -> list[str]:
    return [
        f"{column(alias, found.column) if alias else quote(found.column)} {sign} {literal(bound)}"
        for found in ranges
        for sign, bound in ((">=", found.low), ("<=", found.high))
    ]
