"""Loads whose rows are worked out before they are merged: each key's versions, or its one state."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.commits import Stamp, merge_from
from airflow_ingest.lakehouse.model import PartitionRange
from airflow_ingest.lakehouse.silver import states, versions
from airflow_ingest.lakehouse.silver.changes import Changes, Outcome
from airflow_ingest.lakehouse.silver.statement import SOURCE_VIEW, Merge, other_values, without_repartitioning


def shaped(rows: DataFrame, silver: Silver) -> DataFrame:
    """Published `rows` with the columns that silver has, for their types.

    Raises SchemaMismatch if the source has columns that silver writes itself.
    """
    if silver.load == "scd2":
        return versions.shape(rows)
    return states.shape(rows, silver) if silver.worked_out else rows


def worked_out(given: Changes) -> Outcome:
    """What `given` changes make of the table."""
    return versions.history_of(given) if given.silver.load == "scd2" else states.states_of(given)


def merge_outcome(
    spark: SparkSession,
    path: str,
    found: Outcome,
    silver: Silver,
    columns: Sequence[str],
    stamp: Stamp,
    *,
    ranges: Sequence[PartitionRange] = (),
) -> None:
    """MERGEs what was worked out, rows with the values `columns`, into the table at `path` in one commit that carries
    `stamp`. `ranges` bound what the MERGE reads.
    """
    if silver.load == "scd2":
        target = spark.read.format("delta").load(path).schema
        merge = Merge.of_versions(silver, other_values(columns, found.source.schema, target), ranges)
    else:
        merge = Merge.of_states(silver, ranges)
    merge_from(spark, found.source, SOURCE_VIEW, merge.sql(path), stamp, without_repartitioning(silver.partition_by))
