"""What the columns of a table hold, at one version, measured in one pass."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from airflow_ingest.lakehouse.errors import LakehouseError, SourceNotFound
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, history, is_feed_gone
from airflow_ingest.lakehouse.model import RunInfo, short_hash
from airflow_ingest.lakehouse.profile_book import ColumnProfile, TableProfile, keep, kept_profile
from airflow_ingest.lakehouse.profile_measures import CUT, measures
from airflow_ingest.lakehouse.sources.delta import COLUMNS_OF_LOADS

if TYPE_CHECKING:
    from pyspark.sql import Row, SparkSession
    from pyspark.sql.types import StructField

_MEASURED = 1
"""Goes up when columns are measured in another way, so that a profile of before is not taken for one of today."""


def profile_table(
    spark: SparkSession,
    lake: Lake,
    table: str,
    run: RunInfo,
    *,
    version: int | None = None,
    hidden: Collection[str] = (),
    all_columns: bool = False,
) -> TableProfile:
    """Measures every column of `table`, such as `silver.orders`, and keeps the result in `ops/profiles`.

    `version` is the table's version to look at, the newest if left out. One that was measured in the same way before is
    not measured again. The values of the `hidden` columns are not shown. The columns that loads add (`_batch_id` and
    the like) are left out unless `all_columns`.

    Raises SourceNotFound if the table was never loaded, LakehouseError if it has no such version (any more).
    """
    started = time.monotonic()
    commit = _commit(spark, lake, table, version)
    committed = commit.at or datetime.now(timezone.utc)
    covered = {name.casefold() for name in hidden}
    fingerprint = short_hash(_MEASURED, commit.version, committed.isoformat(), sorted(covered), all_columns)
    if found := kept_profile(spark, lake, table, fingerprint):
        return found
    rows, columns = _measure(spark, lake, table, commit.version, covered, all_columns=all_columns)
    profile = TableProfile(
        table=table,
        version=commit.version,
        committed=committed,
        rows=rows,
        columns=columns,
        run_id=run.run_id,
        fingerprint=fingerprint,
        at=datetime.now(timezone.utc),
        seconds=time.monotonic() - started,
    )
    keep(spark, lake, table, profile)
    return profile


def _commit(spark: SparkSession, lake: Lake, table: str, version: int | None) -> Commit:
    path = _path(lake, table)
    newest = next(iter(history(spark, path, 1)), None)
    if newest is None:
        raise SourceNotFound(f"{table} was never loaded: there is no table at {path}. Run the pipeline first.")
    if version is None or version == newest.version:
        return newest
    back = history(spark, path, newest.version - version + 1) if 0 <= version < newest.version else []
    if not back or back[-1].version != version:
        oldest = f"; its log goes back to {back[-1].version}" if back else ""
        raise LakehouseError(
            f"{table} has no version {version}: the newest one is {newest.version}{oldest}. Ask for one of these."
        )
    return back[-1]


def _measure(
    spark: SparkSession, lake: Lake, table: str, version: int, covered: Collection[str], *, all_columns: bool
) -> tuple[int, tuple[ColumnProfile, ...]]:
    pinned = spark.read.format("delta").option("versionAsOf", version).load(_path(lake, table))
    try:
        fields = [field for field in pinned.schema.fields if all_columns or field.name not in COLUMNS_OF_LOADS]
        cells = [F.expr(measures(field, hidden=field.name.casefold() in covered)) for field in fields]
        measured = pinned.agg(F.count(F.lit(1)), F.array(*cells)).collect()[0]
    except Exception as error:
        if not is_feed_gone(error):
            raise
        raise LakehouseError(
            f"{table}: version {version} cannot be read any more, since VACUUM or log retention removed some of its "
            "files. Ask for a newer one."
        ) from error
    return measured[0], _columns(fields, measured[1], measured[0], covered)


def _path(lake: Lake, table: str) -> str:
    return lake.path(*table.split(".", 1))


def _columns(
    fields: Sequence[StructField], measured: Sequence[Row], rows: int, covered: Collection[str]
) -> tuple[ColumnProfile, ...]:
    return tuple(
        ColumnProfile(
            name=field.name,
            type=field.dataType.simpleString(),
            hidden=field.name.casefold() in covered,
            nulls=rows - found["filled"],
            null_rate=(rows - found["filled"]) / rows if rows else None,
            **{name: _shown(value) for name, value in found.asDict().items() if name != "filled"},
        )
        for field, found in zip(fields, measured, strict=True)
    )


def _shown(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return f"{value[:CUT]}…" if isinstance(value, str) and len(value) > CUT else value
