"""What every source is: it pins what a batch takes, and reads what was pinned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from airflow_ingest.lakehouse import cursors
from airflow_ingest.lakehouse.errors import LakehouseError
from airflow_ingest.lakehouse.model import CursorRange

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.lakehouse.model import Batch, CursorKind, RunInfo

CORRUPT_RECORD = "_corrupt_record"
SOURCE_FILE = "_source_file"
SOURCE_POSITION = "_source_position"
"""The number of a row in its file, from 0 on, where the format tells: Parquet."""


class TableSource(ABC):
    """Where a table's rows come from, for one run.

    A source that goes on from a watermark finds it in bronze's log, and says in `Batch.watermark` where the table will
    be: see `lakehouse.watermarks`.
    """

    system: ClassVar[str]
    """What bronze's `_source_system` says."""
    settings_again: ClassVar[Mapping[str, str]] = {}
    """The session's settings while rows of `read_again` are read."""

    @abstractmethod
    def plan(self, spark: SparkSession, run: RunInfo, draft: Batch, bronze: str) -> Batch:
        """`draft` with what it takes from the source pinned in it; `bronze` is the path of the table's bronze.

        Raises NothingToLoad if this run should leave the table as it is, or LakehouseError.
        """

    @abstractmethod
    def read(self, spark: SparkSession, batch: Batch) -> DataFrame:
        """The rows of a planned `batch`: the source's columns, `_corrupt_record` and `_source_file`."""

    def prepare(self, spark: SparkSession) -> None:  # noqa: B027 (most need nothing)
        """Told before a load, and not before what only shows what a load would do, that `plan` comes next."""

    def still_has(self, spark: SparkSession, batch: Batch) -> bool:
        """Whether what was pinned in `batch` is there as it was then."""
        return True

    def read_again(self, spark: SparkSession, batch: Batch, error: Exception) -> DataFrame | None:
        """Another way to read, after `error` with the first one; None if there is none."""
        return None

    def loaded(self, spark: SparkSession, batch: Batch, version: int) -> None:  # noqa: B027 (most keep no book)
        """Told once `batch` is in bronze, in its commit `version`. A crash may come before: see the log."""

    def told(self, error: Exception) -> Exception:
        """`error` as a person should see it."""
        return error


def interval_range(draft: Batch, cursor: str, kind: CursorKind) -> CursorRange:
    """The rows of `draft`'s data interval by a cursor of that kind. Raises LakehouseError where either has none."""
    if draft.interval is None:
        raise LakehouseError(f"tables.{draft.table}: the run {draft.run_id!r} has no data interval to load.")
    if kind == "number":
        raise LakehouseError(
            f"tables.{draft.table}: the cursor {cursor!r} is a number, and `extract: {{mode: interval}}` "
            "needs a date or a time. Name another cursor, or use `extract: {mode: incremental}`."
        )
    low, high = cursors.bounds(draft.interval, kind)
    return CursorRange(cursor=cursor, kind=kind, low=low, high=high, closed="left")
