"""The models of a gold table."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from airflow_ingest.config.block import Block
from airflow_ingest.config.rules import Quality
from airflow_ingest.config.values import Day, Scalar


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


class Dates(Block):
    """A date dimension: one row for every day, with its parts and its names."""

    from_: Day = Field(alias="from", description="The first day.")
    to: Day = Field(description="The last day, included.")


class Dimension(Block):
    """A column taken from a dimension: from the row, or the version, that a row of the query stands for."""

    table: str = Field(description="The dimension: `gold.<table>` or `silver.<table>`. It is loaded first.")
    key: str = Field(description="The dimension's column that is looked for.")
    by: str | None = Field(
        None, description="The query's column that it is looked for by. Left out: the one named like `key`."
    )
    at: str | None = Field(
        None,
        description="The query's date or time at which a version is valid, where the dimension has versions "
        "(`_valid_from`, `_valid_to`). Left out: the version that is valid still.",
    )
    take: str | None = Field(
        None, description="The dimension's column that is taken. Left out: the one named like the new column."
    )
    unknown: Scalar | None = Field(None, description="The value where the dimension has no such row. Left out: NULL.")


class Optimize(Block):
    """How maintenance lays out the table's files."""

    zorder_by: list[str] = Field(min_length=1, description="The columns that files are sorted by (z-order).")


class Gold(Block):
    """A table made from silver and from other gold tables: exactly one of `sql`, `aggregate` and `dates`."""

    sql: str | None = Field(None, description="One SELECT; its FROM clauses are its inputs.")
    aggregate: Aggregate | None = Field(None, description="The common case without SQL.")
    dates: Dates | None = Field(None, description="A date dimension, made of nothing but its first and its last day.")
    dimensions: dict[str, Dimension] = Field(
        {}, description="Further columns, by name, that are looked up in dimensions. They never multiply rows."
    )
    surrogate_key: dict[str, Annotated[list[str], Field(min_length=1)]] = Field(
        {},
        description="Further columns, by name, each a hash (MD5, as 32 hex digits) of the columns listed: the same for "
        "the same values in every run.",
    )
    load: Literal["overwrite", "replace", "merge"] = Field(
        "overwrite",
        description="`overwrite` everything, `replace` the partitions that changed, or `merge` on keys: see "
        "[How gold is made](gold.md).",
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
        """The SELECT that makes the table, but for `dimensions` and `surrogate_key`."""
        if self.sql is not None:
            return self.sql
        if self.dates is not None:
            from airflow_ingest.config.dates import to_sql as dates_to_sql

            return dates_to_sql(self.dates)
        from airflow_ingest.config.aggregate import to_sql

        assert self.aggregate is not None
        return to_sql(self.aggregate)

    @cached_property
    def queried(self) -> tuple[str, ...]:
        """The lake's tables that the query reads, such as `silver.flights`, each once."""
        if self.sql is not None:
            from airflow_ingest.config.sql import parse_query

            return parse_query(self.sql).tables
        return (self.aggregate.from_,) if self.aggregate else ()

    @cached_property
    def reads_clock(self) -> bool:
        """Whether its rows depend on when they are made, and not on its inputs alone."""
        from airflow_ingest.config.sql import reads_clock

        return self.dates is None and reads_clock(self.query)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The lake's tables that the table is made from, each once: those of the query, then its dimensions."""
        return tuple(dict.fromkeys((*self.queried, *(dimension.table for dimension in self.dimensions.values()))))
