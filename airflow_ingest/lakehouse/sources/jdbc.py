"""Reading a database: one statement a batch, or one for each parallel range, which it filters and projects itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Extract, IngestError, Jdbc
from airflow_ingest.lakehouse import cursors
from airflow_ingest.lakehouse.errors import LakehouseError, NothingToLoad, SourceUnreadable
from airflow_ingest.lakehouse.model import Batch, CursorKind, CursorRange, RunInfo, Watermark
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE, TableSource, interval_range
from airflow_ingest.lakehouse.sources.database import Database
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.watermarks import increment, increment_again, increments, watermark_in_rows, watermark_of

_ALIAS = "airflow_ingest_source"
_FROM_DATABASE = ("SQLException", "java.sql.", "FAILED_JDBC", "JDBC_EXTERNAL_ENGINE", "UnknownHost", "ConnectException")


@dataclass(frozen=True)
class Rows(TableSource):
    """The rows of a database's table or query."""

    jdbc: Jdbc
    extract: Extract
    database: Database
    system = "jdbc"

    def plan(self, spark: SparkSession, run: RunInfo, draft: Batch, bronze: str) -> Batch:
        """`draft` with the range of the cursor that it takes; nothing is pinned of a table that is read in full.

        A live run of an incremental table goes on from the watermark in `bronze`, or begins anew if it is told to, and
        never takes the watermark back. One that loaded before takes the same range again. A run in its lane takes its
        own interval of the cursor and leaves the watermark alone; a cursor that counts has no intervals, so such a run
        loads the table only where nothing did before.
        """
        if self.extract.mode == "full":
            return draft
        kind, newest = self._newest(spark)
        if self.extract.mode == "interval" or (run.in_its_lane and kind != "number"):
            return draft.model_copy(update={"range": interval_range(draft, self._cursor, kind)})
        log = increments(spark, bronze)
        watermark = watermark_of(log) or watermark_in_rows(spark, bronze, log, self._cursor)
        if again := increment_again(log, draft):
            return again
        if run.in_its_lane and watermark:
            raise NothingToLoad(
                f"{draft.table} is loaded by `{self._cursor}`, which counts and has no intervals: a {run.kind} run for "
                "one interval leaves it as it is. Its next scheduled run goes on from the watermark."
            )
        if watermark and (watermark.cursor, watermark.kind) != (self._cursor, kind):
            watermark = None
        range_ = self._onwards(kind, watermark, newest)
        if run.anew:
            range_ = range_.model_copy(update={"low": None, "since": None})
        reached = range_.high
        mark = Watermark(cursor=self._cursor, kind=kind, value=reached) if reached else None
        return increment(log, draft, run, range_.since, range=range_, watermark=mark)

    def read(self, spark: SparkSession, batch: Batch) -> DataFrame:
        """The batch's rows, typed as the database has them."""
        select = self._select(batch.range)
        predicates = self._partitions(spark, select) if self.jdbc.partition_column else []
        rows = self._ask(spark, select, predicates)
        origin = f"{self.database.name}:{self.jdbc.table or 'query'}"
        return rows.withColumns({CORRUPT_RECORD: F.lit(None).cast("string"), SOURCE_FILE: F.lit(origin)})

    def told(self, error: Exception) -> Exception:
        """`error` without the database's secrets; what the database said, in one line."""
        text = str(error)
        clean = self.database.scrubbed(text)
        if isinstance(error, IngestError):
            return error if clean == text else type(error)(clean)
        if any(word in text for word in _FROM_DATABASE):
            return SourceUnreadable(
                f"{self.database.address} (connection {self.database.name!r}) cannot be read: "
                f"{self.database.scrubbed(brief(error))}. Nothing was written."
            )
        return error if clean == text else LakehouseError(clean)

    @property
    def _cursor(self) -> str:
        assert self.extract.cursor is not None
        return self.extract.cursor

    @property
    def _relation(self) -> str:
        if self.jdbc.table is None:
            return f"(\n{self.jdbc.query}\n) {_ALIAS}"
        return ".".join(map(self.database.quote, self.jdbc.table.split(".")))

    def _select(self, range_: CursorRange | None, what: str = "") -> str:
        columns = ", ".join(map(self.database.quote, self.jdbc.columns)) or "*"
        conditions = [f"(\n{self.jdbc.where}\n)"] if self.jdbc.where else []
        conditions += [cursors.within(range_, self.database.quote(range_.cursor))] if range_ else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT {what or columns} FROM {self._relation}{where}"

    def _onwards(self, kind: CursorKind, watermark: Watermark | None, newest: str | None) -> CursorRange:
        since = watermark.value if watermark else None
        high = cursors.greater(newest, since, kind) if newest and since else newest or since
        lookback = self.extract.lookback
        low = cursors.back(since, kind, lookback) if since and lookback else since
        return CursorRange(cursor=self._cursor, kind=kind, low=low, high=high, closed="right", since=since)

    def _newest(self, spark: SparkSession) -> tuple[CursorKind, str | None]:
        """What the cursor counts in, and its greatest value now."""
        cursor = self.database.quote(self._cursor)
        select = self._select(None, f"max({cursor}) AS {self.database.quote('high')}")
        kind, (newest,) = self._measured(spark, select, self._cursor)
        return kind, newest

    def _partitions(self, spark: SparkSession, select: str) -> list[str]:
        name = self.jdbc.partition_column or ""
        column, low, high = map(self.database.quote, (name, "low", "high"))
        asked = f"SELECT min({column}) AS {low}, max({column}) AS {high} FROM ({select}) {_ALIAS}"
        kind, (least, greatest) = self._measured(spark, asked, name)
        if least is None or greatest is None:
            return []
        cuts = [cursors.literal(cut) for cut in cursors.cuts(least, greatest, kind, self.jdbc.partitions)]
        if not cuts:
            return []
        between = [f"{column} >= {cuts[at]} AND {column} < {cuts[at + 1]}" for at in range(len(cuts) - 1)]
        return [f"{column} < {cuts[0]} OR {column} IS NULL", *between, f"{column} >= {cuts[-1]}"]

    def _measured(self, spark: SparkSession, select: str, name: str) -> tuple[CursorKind, list[str | None]]:
        """The one row that `select` gives, values of the column `name`, and what they count in."""
        rows = self._ask(spark, select, [])
        fields = rows.schema.fields
        kind = cursors.kind_of(fields[0].dataType)
        if kind is None:
            raise LakehouseError(
                f"{self.jdbc.table or 'the query'} of {self.database.address}: the column {name!r} is a "
                f"{fields[0].dataType.simpleString()}; a cursor or a partition column is a number, a date or a time."
            )
        row = rows.select(*(cursors.as_text(F.col(field.name), kind) for field in fields)).collect()[0]
        return kind, [None if value is None else cursors.from_spark(value, kind) for value in row]

    def _ask(self, spark: SparkSession, select: str, predicates: list[str]) -> DataFrame:
        properties: dict[str, Any] = {
            **self.database.options,
            "fetchsize": str(self.jdbc.fetch_size),
            "preferTimestampNTZ": "true",
        }
        url = properties.pop("url")
        relation = f"({select}) {_ALIAS}"
        if predicates:
            return spark.read.jdbc(url, relation, predicates=predicates, properties=properties)
        return spark.read.jdbc(url, relation, properties=properties)
