"""How the rules of a pipeline came out, batch after batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.ops import looking_back, newest, read_book
from airflow_ingest.lakehouse.quality.results import BOOK, by_batch
from airflow_ingest.lakehouse.quality.trend import RuleHistory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

    from airflow_ingest.lakehouse.lake import Lake


def quality_history(
    spark: SparkSession, lake: Lake, tables: Collection[str], *, runs: int = 30
) -> tuple[RuleHistory, ...]:
    """How each rule of the `tables` came out on the newest `runs` batches that it has judged.

    Of a batch that was judged several times the last time counts. A table's newest judgement says which rules it has;
    what others were found to be is left out. Rules come in the order of their tables and names.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    book = read_book(spark, lake, BOOK)
    if book is None:
        return ()

    def newest_points(book: DataFrame) -> list[Row]:
        lately = Window.partitionBy("table", "rule").orderBy(F.desc("at"))
        return (
            newest(by_batch(book.where(F.col("table").isin(*tables))), "table", "rule", "batch")
            .withColumn("nth", F.row_number().over(lately))
            .where(F.col("nth") <= runs)
            .orderBy("table", "rule", "at")
            .collect()
        )

    def enough(rows: list[Row], _: datetime) -> bool:
        return {row["table"] for row in rows if row["nth"] == runs} == set(tables)

    rows = looking_back(book, newest_points, enough)
    found: dict[tuple[str, str], list[dict[str, object]]] = defaultdict(list)
    for row in rows:
        found[row["table"], row["rule"]].append({**row.asDict(), "at": row["at"].astimezone()})
    histories = [RuleHistory.from_dict({**points[-1], "points": points}) for points in found.values()]
    last: dict[str, datetime] = {}
    for rule in histories:
        last[rule.table] = max(rule.last.at, last.get(rule.table, rule.last.at))
    return tuple(rule for rule in histories if rule.last.at == last[rule.table])
