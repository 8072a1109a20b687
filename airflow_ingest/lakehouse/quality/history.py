"""How the rules of a pipeline came out, batch after batch."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.ops import read_book
from airflow_ingest.lakehouse.quality.results import BOOK
from airflow_ingest.lakehouse.quality.trend import RuleHistory

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake


def quality_history(
    spark: SparkSession, lake: Lake, table: str | None = None, *, runs: int = 30
) -> tuple[RuleHistory, ...]:
    """How each rule of the pipeline, or of one `table`, came out on the newest `runs` batches that it has judged.

    Of a batch that was judged several times the last time counts. Rules come in the order of their tables and names.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    book = read_book(spark, lake, BOOK, table)
    if book is None:
        return ()
    batch = F.when(F.col("batch_id") == "", F.col("run_id")).otherwise(F.col("batch_id")).alias("batch")
    last = F.max_by(F.struct(*(name for name in book.columns if name not in ("table", "rule"))), "at").alias("last")
    newest = Window.partitionBy("table", "rule").orderBy(F.desc("last.at"))
    rows = (
        book.groupBy("table", "rule", batch)
        .agg(last)
        .withColumn("nth", F.row_number().over(newest))
        .where(F.col("nth") <= runs)
        .select("table", "rule", "last.*")
        .orderBy("table", "rule", "at")
        .collect()
    )
    found: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        found[row["table"], row["rule"]].append({**row.asDict(), "at": row["at"].astimezone()})
    return tuple(RuleHistory.from_dict({**points[-1], "points": points}) for points in found.values())
