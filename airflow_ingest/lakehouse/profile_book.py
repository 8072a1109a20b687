"""The book of profiles, `ops/profiles`: one row per column of every profile that was taken."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING
from uuid import uuid4

from pydantic import AwareDatetime
from pyspark.sql import functions as F

from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Value
from airflow_ingest.lakehouse.ops import append_rows, read_book

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row, SparkSession

_BOOK = "profiles"
_COLUMNS = (
    "pipeline string, layer string, table string, version bigint, committed timestamp, run_id string, profile string, "
    "fingerprint string, rows bigint, position int, name string, type string, hidden boolean, nulls bigint, "
    "null_rate double, nans bigint, distinct bigint, min string, max string, mean double, median string, "
    "min_length bigint, mean_length double, max_length bigint"
)


class ColumnProfile(Value):
    """What one column holds. What its type does not have is None.

    - `nulls`, `null_rate`: rows without a value; no rate where there are no rows. `nans` are values that are no number
    - `distinct`: about how many values there are
    - `min`, `max`, `median`: values of the column as text, long ones cut, NaN left out; the median is about right
    - `mean`: None where it is not finite
    - `min_length` and so on: characters of a text, bytes of a binary, elements of an array or a map
    - `hidden`: whether its values must not be seen, so that min, max, mean and median are left out
    """

    name: str
    type: str
    hidden: bool = False
    nulls: int
    null_rate: float | None = None
    nans: int | None = None
    distinct: int | None = None
    min: str | None = None
    max: str | None = None
    mean: float | None = None
    median: str | None = None
    min_length: int | None = None
    mean_length: float | None = None
    max_length: int | None = None


class TableProfile(Value):
    """What a table, such as `silver.orders`, held at one version, which was `committed` then.

    `fingerprint` stands for the version and for what was asked of it: two profiles with the same one are the same.
    `kept` is true for one that was taken before; `at` is when it was taken, by the run `run_id`.
    """

    table: str
    version: int
    committed: AwareDatetime
    rows: int
    columns: tuple[ColumnProfile, ...]
    run_id: str
    fingerprint: str
    at: AwareDatetime
    kept: bool = False
    seconds: float = 0.0


@replanned
def keep(spark: SparkSession, lake: Lake, table: str, profile: TableProfile) -> None:
    """Writes the profile of `table` down."""
    layer, name = table.split(".", 1)
    shared = {
        "pipeline": lake.pipeline,
        "layer": layer,
        "table": name,
        "version": profile.version,
        "committed": profile.committed.isoformat(),
        "run_id": profile.run_id,
        "profile": uuid4().hex,
        "fingerprint": profile.fingerprint,
        "rows": profile.rows,
    }
    rows = [{**shared, "position": at, **column.to_dict()} for at, column in enumerate(profile.columns)]
    append_rows(spark, lake.ops(_BOOK), _COLUMNS, rows, profile.run_id)


def kept_profile(spark: SparkSession, lake: Lake, table: str, fingerprint: str) -> TableProfile | None:
    """The newest profile of `table` with this fingerprint; None if there is none."""
    rows = _rows(spark, lake, table)
    return _newest(table, None if rows is None else rows.where(F.col("fingerprint") == F.lit(fingerprint)))


def profile_before(spark: SparkSession, lake: Lake, profile: TableProfile) -> TableProfile | None:
    """The profile of the newest version of the same table that was committed before `profile`'s; None if there is none.

    Versions count anew in a table that was made anew, so it goes by the time of the commit.
    """
    rows = _rows(spark, lake, profile.table)
    earlier = F.unix_millis("committed") < F.lit(_millis(profile.committed))
    return _newest(profile.table, None if rows is None else rows.where(earlier))


def _rows(spark: SparkSession, lake: Lake, table: str) -> DataFrame | None:
    layer, name = table.split(".", 1)
    book = read_book(spark, lake, _BOOK, name)
    return None if book is None else book.where(F.col("layer") == F.lit(layer))


def _newest(table: str, rows: DataFrame | None) -> TableProfile | None:
    if rows is None:
        return None
    profile = rows.agg(F.max_by("profile", F.struct("committed", "at"))).collect()[0][0]
    if profile is None:
        return None
    found = rows.where(F.col("profile") == F.lit(profile)).orderBy("position").collect()
    return _profile(table, found)


def _profile(table: str, found: list[Row]) -> TableProfile:
    head = found[0]
    return TableProfile(
        table=table,
        version=head["version"],
        committed=_utc(head["committed"]),
        rows=head["rows"],
        columns=tuple(ColumnProfile.from_dict(row.asDict()) for row in found),
        run_id=head["run_id"],
        fingerprint=head["fingerprint"],
        at=_utc(head["at"]),
        kept=True,
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc)


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
