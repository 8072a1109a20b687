"""The models of a gold table."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from airflow_ingest.config.block import Block
from airflow_ingest.config.rules import Quality


class Over(Block):
    """A rolling window: each row sees the rows of the last units, its own included."""

    order_by: str = Field(description="A date or timestamp column, one value per unit.")
    rolling: str = Field(
        pattern=r"^[1-9][0-9]* +(hour|day|week|month)s?$",
        description="The window's length: `7 days` is a day and the six before it.",
    )


class Aggregate(Block):
    """An aggregation without SQL."""

    from_: str = Field(alias="from", description="The table it reads: `silver.<table>` or `gold.<table>`.")
    by: list[str] = Field([], description="The columns it groups by.")
    over: Over | None = Field(None, description="A rolling window instead of whole groups.")
    measures: dict[str, str] = Field(min_length=1, description="The new columns, each a Spark SQL aggregate.")


class Optimize(Block):
    """How maintenance lays out the table's files."""

    zorder_by: list[str] = Field(min_length=1, description="The columns that files are sorted by (z-order).")


class Gold(Block):
    """A table made from silver and from other gold tables: exactly one of `sql` and `aggregate`."""

    sql: str | None = Field(None, description="One SELECT; its FROM clauses are its inputs.")
    aggregate: Aggregate | None = Field(None, description="The common case without SQL.")
    load: Literal["overwrite", "replace", "merge"] = Field(
        "overwrite", description="`overwrite` everything, `replace` the partitions that changed, or `merge` on keys."
    )
    keys: list[str] = Field([], description="With `load: merge`: the columns that identify a row.")
    partition_by: list[str] = Field([], description="The columns that partition the table.")
    cluster_by: list[str] = Field(
        [], description="The columns, four at most, that maintenance clusters the table by, instead of partitions."
    )
    quality: Quality = Field(Quality(), description="What the result must look like before it is published.")
    optimize: Optimize | None = Field(None, description="How maintenance lays out the table's files.")
    profile: bool = Field(
        False, description="Whether a step after each load measures the table's columns and keeps it in `ops/profiles`."
    )

    @cached_property
    def query(self) -> str:
        """The SELECT that makes the table; for `aggregate`, compiled from it."""
        if self.sql is not None:
            return self.sql
        from airflow_ingest.config.aggregate import to_sql

        assert self.aggregate is not None
        return to_sql(self.aggregate)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The lake's tables that the query reads, such as `silver.flights`, each once."""
        if self.aggregate is not None:
            return (self.aggregate.from_,)
        from airflow_ingest.config.sql import parse_query

        return parse_query(self.query).tables
