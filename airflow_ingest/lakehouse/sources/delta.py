"""Reading a Delta table by its versions: as it is at one of them, or what was committed between two.

The second is Delta's change feed: https://docs.delta.io/delta-change-data-feed/
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from airflow_ingest.config import DeltaTable, Extract
from airflow_ingest.lakehouse import cursors
from airflow_ingest.lakehouse.bronze import AUDIT_COLUMNS
from airflow_ingest.lakehouse.errors import (
    LakehouseError,
    NothingToLoad,
    SchemaMismatch,
    SourceNotFound,
    SourceUnreadable,
)
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import commits_after, history, is_feed_gone, published
from airflow_ingest.lakehouse.model import Batch, CursorKind, RunInfo, Versions, Watermark
from airflow_ingest.lakehouse.schemas import both, differences
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE, TableSource, interval_range
from airflow_ingest.lakehouse.sources.listing import local_path
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import quote
from airflow_ingest.lakehouse.sql import table as sql_table
from airflow_ingest.lakehouse.tables import CHANGE_COLUMNS, FEED, OWNER, record_changes
from airflow_ingest.lakehouse.watermarks import (
    increment,
    increment_again,
    increments,
    newest_increment,
    watermark_in_rows,
)

_ACROSS_SCHEMAS = "spark.databricks.delta.changeDataFeed.unsafeBatchReadOnIncompatibleSchemaChanges.enabled"
_DROPS = ("DROP", "RENAME", "REPLACE", "CREATE OR REPLACE")
CHANGE_TYPE, COMMIT_VERSION, COMMIT_TIMESTAMP = CHANGE_COLUMNS
COLUMNS_OF_LOADS = {*AUDIT_COLUMNS, CORRUPT_RECORD, "_ingested_at", "_ingested_by", "_sequence"}
"""What loads add to the tables of any layer."""


@dataclass(frozen=True)
class Snapshot(TableSource):
    """The rows of a Delta table as they are at the version that it has when the batch is planned.

    With `mode: interval`, those whose cursor lies in the run's data interval.
    """

    name: str
    delta: DeltaTable
    extract: Extract
    lake: Lake
    system = "delta"

    def plan(self, spark: SparkSession, run: RunInfo, draft: Batch, bronze: str) -> Batch:
        """`draft` with the version and the columns that it takes. Raises SourceNotFound or SchemaMismatch."""
        versions, ours = self._now(spark)
        schema = _at(spark, versions).schema
        pinned: dict[str, Any] = {"versions": versions, "columns": self._columns(schema, ours=ours)}
        if self.extract.mode == "interval":
            pinned["range"] = interval_range(draft, self.extract.cursor or "", self._cursor_kind(schema))
        return draft.model_copy(update=pinned)

    def read(self, spark: SparkSession, batch: Batch) -> DataFrame:
        """The batch's rows, typed as the table has them."""
        assert batch.versions is not None
        rows = self._rows(spark, batch.versions)
        if self.delta.where:
            rows = rows.where(F.expr(self.delta.where))
        if batch.range is not None:
            rows = rows.where(F.expr(cursors.within(batch.range, quote(batch.range.cursor))))
        corrupt = F.col(CORRUPT_RECORD) if CORRUPT_RECORD in rows.columns else F.lit(None)
        return rows.select(
            *map(quote, batch.columns),
            corrupt.cast("string").alias(CORRUPT_RECORD),
            F.lit(batch.versions.path).alias(SOURCE_FILE),
        )

    def _rows(self, spark: SparkSession, versions: Versions) -> DataFrame:
        return _at(spark, versions)

    @property
    def _path(self) -> str:
        if self.delta.table is not None:
            return self.lake.path(*self.delta.table.split(".", 1))
        path = self.delta.path or ""
        return local_path(path) or path.rstrip("/")

    def _now(self, spark: SparkSession) -> tuple[Versions, bool]:
        """The table's version now, and whether a pipeline of ours writes it."""
        commits = history(spark, self._path, 1)
        if not commits:
            raise SourceNotFound(
                f"tables.{self.name}: there is no Delta table at {self._path}. Is it not published yet, or is "
                "`source.delta` wrong?"
            )
        id_, known = _described(spark, self._path)
        self._check(commits[0].version, known)
        versions = Versions(path=self._path, table=id_, to=commits[0].version, at=commits[0].at)
        return versions, OWNER in known

    def _check(self, version: int, known: dict[str, str]) -> None:
        """Raises SourceUnreadable if the table cannot be read the way that the source reads it."""

    def _columns(self, schema: StructType, *, ours: bool) -> tuple[str, ...]:
        """The columns to read; of a table of ours, those that tell of its own loads stay behind."""
        if not self.delta.columns:
            left = COLUMNS_OF_LOADS if ours else {CORRUPT_RECORD, SOURCE_FILE}
            return tuple(name for name in schema.names if name not in left)
        known = {name.lower() for name in schema.names}
        for name in self.delta.columns:
            if name.lower() not in known:
                raise self._no_column(name, "source.delta.columns", schema.names)
        return tuple(self.delta.columns)

    def _cursor_kind(self, schema: StructType) -> CursorKind:
        cursor = self.extract.cursor or ""
        field = next((field for field in schema.fields if field.name.lower() == cursor.lower()), None)
        if field is None:
            raise self._no_column(cursor, "extract.cursor", schema.names)
        kind = cursors.kind_of(field.dataType)
        if kind is None:
            raise LakehouseError(
                f"tables.{self.name}: the column {cursor!r} of {self._path} is a {field.dataType.simpleString()}; "
                "a cursor is a date or a time."
            )
        return kind

    def _no_column(self, name: str, key: str, known: Sequence[str]) -> SchemaMismatch:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else f" It has: {', '.join(known)}."
        return SchemaMismatch(
            f"tables.{self.name}: {self._path} has no column {name!r}, which `{key}` names.{hint} Nothing was written."
        )


@dataclass(frozen=True)
class Changes(Snapshot):
    """What was committed to a Delta table since the watermark, which is a version of it.

    At first, the whole table, or what was committed from its `starting_version` on.

    Each row says in CHANGE_COLUMNS what became of it, in which version and when. A row of the first load counts as
    inserted in the version that was read.
    """

    settings_again = {_ACROSS_SCHEMAS: "true"}

    def prepare(self, spark: SparkSession) -> None:
        """Has a table of ours record its changes, which it does not by itself."""
        record_changes(spark, self._path, of_ours=True)

    def plan(self, spark: SparkSession, run: RunInfo, draft: Batch, bronze: str) -> Batch:
        """`draft` with the versions from and to, or the whole table if `run` begins anew; a run that loaded before
        takes its own again.

        A run in its lane has no business here, versions have no intervals, unless nothing was loaded yet. Raises
        SourceNotFound, SourceUnreadable, or NothingToLoad where nothing is new.
        """
        log = increments(spark, bronze)
        last = newest_increment(log)
        now, ours = self._now(spark)
        if last and last.versions and last.versions.table != now.table:
            raise self._made_anew(f"another table lay there, at {last.versions.path}, when it was read last")
        again = increment_again(log, draft)
        if again and again.versions:
            return again
        mark = last.watermark if last else watermark_in_rows(spark, bronze, log, COMMIT_VERSION)
        since = int(mark.value) if mark and mark.cursor == COMMIT_VERSION and not run.anew else None
        if since is None and not run.anew and self.delta.starting_version is not None:
            since = self._before_the_first(now)
        elif since is not None:
            self._check_onwards(spark, draft, run, since, now.to)
        return increment(
            log,
            draft,
            run,
            f"version {since}",
            versions=now.model_copy(update={"since": since}),
            watermark=Watermark(cursor=COMMIT_VERSION, kind="number", value=str(now.to)),
            columns=(*self._columns(_at(spark, now).schema, ours=ours), *CHANGE_COLUMNS),
        )

    def read_again(self, spark: SparkSession, batch: Batch, error: Exception) -> DataFrame | None:
        """The changes on both sides of a change of types, if that made columns wider and did nothing else.

        By itself Delta reads none across any change of types; told to, it reads the older ones in the newer types.
        """
        versions = batch.versions
        if versions is None or versions.since is None or "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE" not in str(error):
            return None
        if any(commit.operation.startswith(_DROPS) for commit in commits_after(spark, versions.path, versions.since)):
            return None
        before = _at(spark, versions.model_copy(update={"to": max(versions.since, 0)})).schema
        found = list(differences(before, _at(spark, versions).schema))
        if any(one.rows is None or (one.table and both(one.table, one.rows) != one.rows) for one in found):
            return None
        return self.read(spark, batch)

    def told(self, error: Exception) -> Exception:
        """A plain word where the change feed does not reach back far enough."""
        if isinstance(error, LakehouseError) or not is_feed_gone(error):
            return error
        reason = brief(error).split(" Your read schema is", 1)[0]
        bronze = sql_table(self.lake.bronze(self.name))
        return SourceUnreadable(
            f"tables.{self.name}: not all changes of {self._path} can be read, and what is lost stays lost: {reason} "
            f"To begin again with the table as it is, RESTORE TABLE {bronze} TO VERSION AS OF 0 (where its log no "
            "longer reaches back, remove it, silver and their tombstones); silver keeps its rows, those deleted "
            "meanwhile too. Or load it whole each time: `extract: {mode: full}`. Nothing was written."
        )

    def _rows(self, spark: SparkSession, versions: Versions) -> DataFrame:
        if versions.since is None:
            found: dict[str, Any] = {CHANGE_TYPE: "insert", COMMIT_VERSION: versions.to, COMMIT_TIMESTAMP: versions.at}
            types = ("string", "bigint", "timestamp")
            added = {name: F.lit(found[name]).cast(kind) for name, kind in zip(CHANGE_COLUMNS, types, strict=True)}
            return _at(spark, versions).withColumns(added)
        feed = (
            spark.read.format("delta")
            .option("readChangeFeed", True)
            .option("startingVersion", versions.since + 1)
            .option("endingVersion", versions.to)
            .load(versions.path)
        )
        return feed.where(F.col(CHANGE_TYPE) != F.lit("update_preimage"))

    def _check(self, version: int, known: dict[str, str]) -> None:
        if known.get(FEED) != "true" and OWNER not in known:
            raise SourceUnreadable(
                f"tables.{self.name}: {self._path} has no change feed at version {version}, and `extract: {{mode: "
                f"incremental}}` reads what changed from it. Switch it on, ALTER TABLE {sql_table(self._path)} SET "
                f"TBLPROPERTIES ({FEED} = true), or load the table whole: `extract: {{mode: full}}`. Nothing was "
                "written."
            )

    def _before_the_first(self, now: Versions) -> int:
        first = self.delta.starting_version or 0
        if first > now.to:
            raise NothingToLoad(f"{self._path} is at version {now.to}, and its changes are taken from {first} on")
        return first - 1

    def _check_onwards(self, spark: SparkSession, draft: Batch, run: RunInfo, since: int, newest: int) -> None:
        if newest < since:
            raise self._made_anew(f"it is at version {newest}, and was read up to version {since}")
        if run.in_its_lane:
            raise NothingToLoad(
                f"{draft.table} is loaded by the versions of {self._path}, which have no intervals: a {run.kind} run "
                "for one interval leaves it as it is. Its next scheduled run goes on from the watermark."
            )
        if newest == since:
            raise NothingToLoad(f"{self._path} is still at version {newest}, which is loaded")
        later = published(spark, self._path)
        if later and later.rows <= since:
            raise NothingToLoad(f"{self._path} has the rows of version {since}, which is loaded")

    def _made_anew(self, how: str) -> SourceUnreadable:
        ours = (self.lake.bronze(self.name), self.lake.silver(self.name), self.lake.ops(f"tombstones/{self.name}"))
        return SourceUnreadable(
            f"tables.{self.name}: the Delta table at {self._path} was made anew: {how}. What changed in between is not "
            f"known. To begin again with the table as it is, remove {', '.join(ours)}. Nothing was written."
        )


def _at(spark: SparkSession, versions: Versions) -> DataFrame:
    return spark.read.format("delta").option("versionAsOf", versions.to).load(versions.path)


def _described(spark: SparkSession, path: str) -> tuple[str, dict[str, str]]:
    """The id and the properties of the table at `path`."""
    row = spark.sql(f"DESCRIBE DETAIL {sql_table(path)}").select("id", "properties").collect()[0]
    return row["id"], dict(row["properties"])
