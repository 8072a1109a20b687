"""Keys derived again from all that bronze holds of them, judged by today's configuration.

A row of another batch that went in under laxer rules, and that today's reject, has no place in silver any more once its
key is derived again. It becomes a dead letter of its own batch first, as a load of that batch would make it one.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.bronze import BATCH_ID, PROCESSING_DATE, read_bronze
from airflow_ingest.lakehouse.checkpoints import checkpointed
from airflow_ingest.lakehouse.dlq import add_letters, has_fixes, letters_beside, with_fixes, with_letter_ids
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import own_history
from airflow_ingest.lakehouse.model import Batch, RunInfo
from airflow_ingest.lakehouse.progress import Progress
from airflow_ingest.lakehouse.quality.gate import rule_version
from airflow_ingest.lakehouse.silver.judged import ERRORS, Judged, judge_rows, published_rows, silver_of
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.sql import quote

_WANTED = "__wanted"
_REJECTED = f"size({ERRORS}) > 0"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Derivation:
    """What the batches say that silver has taken by `progress`, the `batch` that is loaded among them.

    - `planned`: that batch's rows as bronze would hold them, where it does not hold them yet: then nothing is written
    - `beside`: rows that are replayed
    """

    spark: SparkSession
    lake: Lake
    table: Table
    name: str
    progress: Progress
    run: RunInfo
    lookups: Lookups
    batch: Batch | None = None
    planned: DataFrame | None = None
    beside: Judged | None = None

    def everything(self) -> DataFrame:
        """What they publish: see `published_rows`."""
        judged = self._judged
        rows = judged.rows if self.beside is None else _beside(judged.rows, self.beside.rows)
        return published_rows(replace(judged, rows=rows), self.run)

    def of(self, keys: DataFrame) -> DataFrame:
        """What they publish of `keys`, each there once; what is rejected of them has its dead letter then."""
        judged, names = self._judged, silver_of(self.table).keys
        wanted = keys.select(*map(quote, names)).withColumn(_WANTED, F.lit(True))
        rows = judged.rows
        if has_fixes(own_history(self.spark, self.lake.dlq(self.name))):
            rows = with_letter_ids(rows, self.name)
        keyless = " OR ".join(f"{quote(key)} IS NULL" for key in names)
        rows = rows.join(wanted, names, "left").where(f"{_WANTED} OR ({_REJECTED} AND ({keyless}))")
        rows = checkpointed(rows)
        if self.planned is None:
            self._reject(rows.where(_REJECTED))
        if self.beside is not None:
            rows = _beside(rows, self.beside.rows.join(wanted, names, "left_semi"))
        return published_rows(replace(judged, rows=rows), self.run)

    @property
    def _judged(self) -> Judged:
        own = self.batch.id if self.batch else ""
        left_out = [other.id for other in self.progress.behind if other.id != own]
        bronze = read_bronze(self.spark, self.lake, self.name, self.progress.bronze)
        if left_out:
            bronze = bronze.where(~F.col(BATCH_ID).isin(left_out))
        if self.planned is not None:
            others = bronze.where(F.col(BATCH_ID) != F.lit(own))
            bronze = others.unionByName(self.planned, allowMissingColumns=True)
        rows = with_fixes(self.spark, self.lake, self.name, bronze)
        return judge_rows(rows, self.table, self.lookups, carry=(PROCESSING_DATE,))

    def _reject(self, rows: DataFrame) -> None:
        if rows.isEmpty():
            return
        letters = letters_beside(rows, self.name, self.run, rule_version(self.table))
        if count := add_letters(self.spark, self.lake, self.name, letters, self.run):
            log.warning(
                "%s.%s: %d rows of other batches went in under other rules; today's reject them, and as their keys are "
                "derived again they are dead letters now.",
                self.lake.pipeline,
                self.name,
                count,
            )


def _beside(rows: DataFrame, others: DataFrame) -> DataFrame:
    return rows.unionByName(others, allowMissingColumns=True)
