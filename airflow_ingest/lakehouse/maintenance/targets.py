"""Which Delta tables belong to a pipeline, and how each is to be laid out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from airflow_ingest.lakehouse.model import Value

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline
    from airflow_ingest.lakehouse.lake import Lake

BOOKS = ("batches", "circuit", "failed_loads", "ledger", "profiles", "quality_results", "runs")
"""The tables that all pipelines of a lake write under `ops/`."""


class Target(Value):
    """One Delta table of a lake: `table` is its layer and name, such as `silver.orders`.

    Its files are sorted by `zorder_by` or clustered by `cluster_by`; without either they are only made larger. Rows
    older than `forget_after` are forgotten, which only tombstones can be.
    """

    table: str
    zorder_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    forget_after: timedelta | None = None

    @property
    def layer(self) -> str:
        return self.table.split(".", 1)[0]

    @property
    def name(self) -> str:
        return self.table.split(".", 1)[1]

    @property
    def is_shared(self) -> bool:
        """Whether all pipelines of the lake write it."""
        return self.layer == "ops" and self.name in BOOKS

    def path(self, lake: Lake) -> str:
        """Where it lies."""
        return lake.path(self.layer, self.name)


def targets_of(pipeline: Pipeline) -> tuple[Target, ...]:
    """All tables that the pipeline writes, whether they are there yet or not; those that it shares come last."""
    return tuple(_targets(pipeline))


def _targets(pipeline: Pipeline) -> Iterator[Target]:
    for name, table in pipeline.tables.items():
        yield Target(table=f"bronze.{name}")
        if table.silver is not None:
            yield Target(table=f"silver.{name}", cluster_by=tuple(table.silver.cluster_by))
        if table.gated:
            yield Target(table=f"dlq.{name}")
        if table.silver is not None and table.silver.deleting:
            yield Target(table=f"ops.tombstones/{name}", forget_after=table.silver.tombstone_retention)
    for name, gold in pipeline.gold.items():
        zorder_by = tuple(gold.optimize.zorder_by) if gold.optimize else ()
        yield Target(table=f"gold.{name}", zorder_by=zorder_by, cluster_by=tuple(gold.cluster_by))
    for book in BOOKS:
        yield Target(table=f"ops.{book}")
