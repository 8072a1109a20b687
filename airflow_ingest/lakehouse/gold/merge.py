"""`load: merge` in gold: of a query's new result, only what differs from the table is written."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.bronze import BATCH_ID
from airflow_ingest.lakehouse.commits import Stamp, merge_from
from airflow_ingest.lakehouse.gold.scope import Scope
from airflow_ingest.lakehouse.silver.rows import ALIVE, INGESTED_AT, INGESTED_BY, same_key
from airflow_ingest.lakehouse.silver.statement import SOURCE_VIEW, Merge, other_values, without_repartitioning
from airflow_ingest.lakehouse.sql import column

_GONE = f"{column('s', INGESTED_AT)} IS NULL"


def same_shape(one: StructType, other: StructType) -> bool:
    """Whether two tables have the same columns, so that rows of one go into the other as they are."""
    left, right = ({field.name.lower(): field.dataType.simpleString() for field in side} for side in (one, other))
    return left == right


def merge_statement(path: str, gold: Gold, scope: Scope | None) -> str:
    """The MERGE of what `differing` gives into the gold table at `path`.

    A row without `_ingested_at` is the key of a row that is no more. The scope's condition lets Delta pass over files;
    it may stand there only if it holds for both rows of a key or for none.
    """
    bounds = [f"({scope.sql('t')})"] if scope and scope.by_key else []
    on = "\n  AND ".join([same_key(gold.keys), *bounds])
    return Merge(on, ALIVE, delete=_GONE, insert=ALIVE, evolve=False).sql(path)


def merge_rows(
    spark: SparkSession, path: str, gold: Gold, rows: DataFrame, table: DataFrame, scope: Scope | None, stamp: Stamp
) -> None:
    """MERGEs `rows`, the query's result within `scope`, into the gold table at `path`, in a commit with `stamp`.

    `table` is the same table as it is now.
    """
    source = differing(rows, table.where(scope.sql()) if scope else table, gold.keys)
    settings = without_repartitioning(gold.partition_by)
    merge_from(spark, source, SOURCE_VIEW, merge_statement(path, gold, scope), stamp, settings)


def differing(rows: DataFrame, table: DataFrame, keys: Sequence[str]) -> DataFrame:
    """The rows of `rows` that `table` has not, or has with other values; the keys of those that only `table` has.

    Neither has a key twice, or NULL in one. Of the latter all columns but the keys are NULL.
    """
    identity = {key.lower() for key in keys}
    values = [name for name in rows.columns if name.lower() not in {*identity, BATCH_ID, INGESTED_AT, INGESTED_BY}]
    differs = other_values(values, rows.schema, table.schema) if values else "false"
    first = keys[0]
    kept = f"{column('s', first)} IS NULL OR {column('t', first)} IS NULL OR {differs}"
    columns = [
        F.expr(
            f"coalesce({column('s', name)}, {column('t', name)})" if name.lower() in identity else column("s", name)
        ).alias(name)
        for name in rows.columns
    ]
    both = rows.alias("s").join(table.alias("t"), F.expr(same_key(keys)), "full")
    return both.where(F.expr(kept)).select(*columns)
