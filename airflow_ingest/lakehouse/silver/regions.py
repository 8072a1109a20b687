"""Loads without a MERGE: a batch's rows take the place of a region of silver, in one commit.

- `append`: what an earlier load of the same batch put there; the first load only adds
- `replace`: the rows for which `replace_where` holds, rendered from the batch's own interval
- `overwrite`: the whole table
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.config.templates import TemplateError, render
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.commits import Place
from airflow_ingest.lakehouse.errors import LakehouseError
from airflow_ingest.lakehouse.log import Commit, in_effect
from airflow_ingest.lakehouse.model import Batch
from airflow_ingest.lakehouse.silver.rows import SEQUENCE
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

REGION = "region"
"""In a commit of silver: the predicate of the region that it replaced."""


@dataclass(frozen=True)
class Region:
    """The rows of silver that a batch's rows take the place of: those for which `predicate` holds, all without one.

    A `fresh` region has no rows yet.
    """

    predicate: str | None
    fresh: bool = False

    @classmethod
    def of(cls, silver: Silver, batch: Batch, place: Place) -> Region:
        """The region of `batch`, which has that `place` in silver."""
        if silver.load == "append":
            return cls(f"{quote(BATCH_ID)} = {literal(batch.id)}", fresh=place.first)
        return cls(replaced_rows(silver, batch))

    def writer(self, rows: DataFrame, silver: Silver) -> DataFrameWriter:
        """A writer that puts `rows` in their place."""
        writer, evolve = rows.write.format("delta"), silver.schema_ == "evolve"
        if self.fresh:
            return writer.mode("append").option("mergeSchema", evolve)
        writer = writer.mode("overwrite")
        if self.predicate is None:
            return writer.option("overwriteSchema", evolve).partitionBy(*silver.partition_by)
        return writer.option("replaceWhere", self.predicate).option("mergeSchema", evolve)

    def statement(self, path: str, view: str) -> str:
        """What `writer` does with the rows of `view`, to be read."""
        if self.predicate is None:
            return f"INSERT OVERWRITE {sql_table(path)}\nSELECT * FROM {view}"
        where = "" if self.fresh else f" REPLACE WHERE {self.predicate}"
        return f"INSERT INTO {sql_table(path)}{where}\nSELECT * FROM {view}"

    def is_overtaken(
        self, spark: SparkSession, path: str, silver: Silver, batch: Batch, place: Place, commits: Sequence[Commit]
    ) -> bool:
        """Whether a newer batch than `batch` was put there, so that this one comes too late."""
        if silver.load == "append" or (batch.interval is not None and not place.older):
            return False
        own = (commit.metadata for commit in in_effect(commits) if REGION in commit.metadata)
        same = [Batch.from_dict(told["batch"]) for told in own if told[REGION] == self.predicate]
        if any(told.order > batch.order for told in same) or (self.predicate is None and place.older):
            return True
        if self.predicate is None and same:
            return False
        rows = spark.read.format("delta").load(path)
        rows = rows if self.predicate is None else rows.where(F.expr(self.predicate))
        return not rows.where(F.col(f"{SEQUENCE}.batch") > F.lit(batch.order)).isEmpty()


def replaced_rows(silver: Silver, batch: Batch) -> str | None:
    """`replace_where` for the interval of `batch`; None if silver has none.

    Raises LakehouseError if it names what an interval does not give, or the batch has no interval.
    """
    if silver.load != "replace" or silver.replace_where is None:
        return None
    if "{{" not in silver.replace_where and "{%" not in silver.replace_where:
        return silver.replace_where
    if batch.interval is None:
        raise LakehouseError(
            f"tables.{batch.table}: `silver.replace_where` is rendered from the data interval, and the batch "
            f"{batch.id} has none. Give the run one, or use load: overwrite."
        )
    start, end = (moment.astimezone(timezone.utc) for moment in (batch.interval.start, batch.interval.end))
    try:
        return render(silver.replace_where, start, end)
    except TemplateError as error:
        raise LakehouseError(f"tables.{batch.table}, silver.replace_where: {error}") from None
