"""Bronze: the rows of a batch as they came, with where from, when and by which run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from typing import TypeVar

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from airflow_ingest.config import Table
from airflow_ingest.lakehouse.batches import pending_batches
from airflow_ingest.lakehouse.commits import Place, Stamp, generation, stamped, written
from airflow_ingest.lakehouse.conflicts import replanned
from airflow_ingest.lakehouse.errors import ConflictError, LakehouseError, NothingToLoad, SchemaMismatch
from airflow_ingest.lakehouse.fitting import RESCUED, fitted
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import Commit, bytes_put, in_effect, own_history, rows_put
from airflow_ingest.lakehouse.masking import masked, masks_of
from airflow_ingest.lakehouse.model import (
    ALREADY_APPLIED,
    Batch,
    LoadResult,
    LoadStatus,
    RowCounts,
    RunInfo,
    short_hash,
)
from airflow_ingest.lakehouse.pins import NO_PINS, Pins
from airflow_ingest.lakehouse.schemas import Difference, both, merged
from airflow_ingest.lakehouse.settings import compiled, rows_expected, settings_of
from airflow_ingest.lakehouse.sources import source_of
from airflow_ingest.lakehouse.sources.base import CORRUPT_RECORD, SOURCE_FILE, SOURCE_POSITION, TableSource
from airflow_ingest.lakehouse.sources.database import Database
from airflow_ingest.lakehouse.sql import EXACT_JSON, literal, quote
from airflow_ingest.lakehouse.tables import check_same_columns, ensure
from airflow_ingest.lakehouse.watermarks import application
from airflow_ingest.lakehouse.widening import alter_types, changes, enable_features, is_type_error

T = TypeVar("T")

STEP = "ingest_bronze"
_PLAN = "plan"
BATCH_ID = "_batch_id"
PROCESSING_DATE = "_processing_date"
RECORD_HASH = "_record_hash"
BATCH_ORDER = "_batch_order"
AUDIT_COLUMNS = (
    BATCH_ID,
    "_run_id",
    PROCESSING_DATE,
    "_bronze_ingestion_timestamp",
    "_source_system",
    SOURCE_FILE,
    SOURCE_POSITION,
    RECORD_HASH,
    BATCH_ORDER,
)


@replanned
def ingest_bronze(
    spark: SparkSession,
    lake: Lake,
    name: str,
    table: Table,
    run: RunInfo,
    *,
    files: str | None = None,
    database: Database | None = None,
    pins: Pins = NO_PINS,
) -> LoadResult:
    """Loads the batch of `run` into bronze, in place of what an earlier load of the same batch left there.

    `files` is the source's path, rendered for the run; `database` is where `source.jdbc` finds its rows. With `pins`,
    a retry loads what the first attempt had planned, or finds that it is in bronze already. Raises SourceNotFound,
    SourceUnreadable or SchemaMismatch before anything is written.
    """
    started = time.monotonic()
    source = source_of(lake, name, table, files=files, database=database)
    try:
        if reason := refusal(spark, lake, name, table, run):
            raise NothingToLoad(reason)
        found = _planned_and_loaded(spark, lake, name, table, run, source, pins)
    except NothingToLoad as nothing:
        return _left_behind(spark, lake, name, table, run, str(nothing))
    except Exception as error:
        told = source.told(error)
        if told is error:
            raise
        raise told from None
    commit, batch = found.commit, Batch.from_dict(found.commit.metadata["batch"])
    source.loaded(spark, batch, commit.version)
    read = rows_put(commit.metrics)
    return LoadResult.of_batch(
        STEP,
        batch,
        highest=commit.metadata.get("highest"),
        reason=ALREADY_APPLIED if found.again else "",
        version=commit.version,
        rows=RowCounts(read=read, inserted=read),
        bytes_written=bytes_put(commit.metrics),
        rescued=found.rescued,
        replaced=commit.metrics.get("numDeletedRows", 0),
        columns=found.columns,
        seconds=time.monotonic() - started,
        pending=_pending(spark, lake, name, table, run, batch),
    )


def _pending(spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo, batch: Batch) -> tuple[Batch, ...]:
    """What there is to judge, and for silver to take: where nothing is published, the run's own batch alone."""
    if table.silver is None:
        return (batch,) if table.gated else ()
    return pending_batches(spark, lake, name, run, batch)


@dataclass(frozen=True)
class _Loaded:
    """The commit with a batch, whether an earlier attempt made it, how many of its rows hold rescued data, and the
    types of its columns where this attempt has read them.
    """

    commit: Commit
    again: bool = False
    rescued: int = 0
    columns: Mapping[str, str] = field(default_factory=dict)


def _left_behind(spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo, reason: str) -> LoadResult:
    """The result of a live run that loads nothing itself: silver may still have to take what others left."""
    pending = () if run.in_its_lane or table.silver is None else pending_batches(spark, lake, name, run)
    status: LoadStatus = "unchanged" if pending else "skipped"
    return LoadResult(step=STEP, table=name, status=status, reason=reason, pending=pending)


def draft_batch(name: str, table: Table, run: RunInfo) -> Batch:
    """The batch that `run` loads, before its source pins what is in it.

    Its id follows from the interval, so that every re-run of it has the same.
    """
    now = datetime.now(timezone.utc)
    if run.interval is None and table.extract.mode == "interval":
        raise LakehouseError(
            f"tables.{name}: the run {run.run_id!r} has no data interval, and `extract: {{mode: interval}}` loads "
            "one. Trigger the run with a logical date, or use `extract: {mode: full}`."
        )
    identity = (
        run.run_id if run.interval is None else f"{run.interval.start.isoformat()}/{run.interval.end.isoformat()}"
    )
    return Batch(
        table=name,
        id=short_hash(run.pipeline, name, identity, *filter(None, [run.part])),
        generation=generation(),
        run_id=run.run_id,
        interval=run.interval,
        processing_date=(run.interval.start if run.interval else now).date(),
    )


def read_bronze(spark: SparkSession, lake: Lake, name: str, version: int) -> DataFrame:
    """All rows of bronze as they were at `version`."""
    return spark.read.format("delta").option("versionAsOf", version).load(lake.bronze(name))


def read_batch(spark: SparkSession, lake: Lake, batch: Batch, version: int | None = None) -> DataFrame:
    """The rows of `batch` as bronze holds them now, or held them at `version`."""
    reader = spark.read.format("delta")
    reader = reader if version is None else reader.option("versionAsOf", version)
    bronze = reader.load(lake.bronze(batch.table))
    return bronze.where((F.col(PROCESSING_DATE) == F.lit(batch.processing_date)) & (F.col(BATCH_ID) == F.lit(batch.id)))


def batch_predicate(batch: Batch, alias: str = "") -> str:
    """What holds for the rows of `batch` and of no other, in literals that Delta can prune and tell apart."""
    return (
        f"{alias}{quote(PROCESSING_DATE)} = {literal(batch.processing_date)} "
        f"AND {alias}{quote(BATCH_ID)} = {literal(batch.id)}"
    )


def refusal(spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo) -> str:
    """Why `run` leaves the table as it is; empty if it loads it."""
    if table.extract.mode == "incremental" and run.in_its_lane and table.silver and not table.silver.keys:
        return (
            f"{name} is loaded by increments and has no keys: a {run.kind} run for one interval would add rows that "
            "are there already. Give silver its keys, or run it as the schedule does."
        )
    if run.anew and not (table.silver and table.silver.by_key and table.silver.keys):
        return (
            f"{name} has no silver that goes by keys: reading its source from the beginning would add rows that are "
            "there already. To load it anew, remove its tables."
        )
    if table.extract.mode != "full" or not run.in_its_lane:
        return ""
    published = lake.silver(name) if table.silver else lake.bronze(name)
    if not any(commit.metadata.get("batch") for commit in own_history(spark, published)):
        return ""
    return (
        f"{name} is loaded in full (`extract: {{mode: full}}`), whatever the interval: a {run.kind} run for one "
        "interval leaves it as it is. Its next scheduled run loads it again."
    )


def _planned_and_loaded(
    spark: SparkSession, lake: Lake, name: str, table: Table, run: RunInfo, source: TableSource, pins: Pins
) -> _Loaded:
    """What brought the run's batch into bronze."""
    pinned = pins.take(_PLAN)
    plan = None if pinned is None else Batch.from_dict(pinned)
    if plan:
        commits = own_history(spark, lake.bronze(name))
        if found := _commit_of(plan, in_effect(commits)):
            return _Loaded(found, again=True)
        plan = None if _commit_of(plan, commits) else plan  # a RESTORE undid it
    if plan is None or not source.still_has(spark, plan):
        source.prepare(spark)
        plan = source.plan(spark, run, draft_batch(name, table, run), lake.bronze(name))
        pins.put(_PLAN, plan.to_dict())
    loaded = read_for(partial(_write, spark, lake, table), spark, source, plan, table)
    told = loaded.commit.metadata
    if plan.transaction is not None and Batch.from_dict(told["batch"]).key != plan.key:
        raise ConflictError(f"tables.{name}: the run {told.get('run')} loaded the same part of the source.")
    return loaded


def _commit_of(plan: Batch, commits: Iterable[Commit]) -> Commit | None:
    """The one of `commits` that brought `plan` into bronze, if any."""
    batches = ((commit, commit.metadata.get("batch")) for commit in commits)
    return next((commit for commit, batch in batches if batch and Batch.from_dict(batch).key == plan.key), None)


def read_for(
    use: Callable[[Batch, DataFrame], T], spark: SparkSession, source: TableSource, plan: Batch, table: Table
) -> T:
    """What `use` makes of the planned batch and its rows as bronze holds them; once more with rows that the source read
    another way, if it has one for what went wrong.

    Raises SchemaMismatch if the source has a column that bronze keeps for itself.
    """
    try:
        return use(*_as_bronze(plan, source.read(spark, plan), source.system, masks_of(table)))
    except Exception as error:
        with settings_of(spark, source.settings_again):
            rows = source.read_again(spark, plan, error)
            if rows is None:
                raise
            return use(*_as_bronze(plan, rows, source.system, masks_of(table)))


_BESIDE = (CORRUPT_RECORD, SOURCE_FILE, SOURCE_POSITION)
"""What a source's rows have beside its own columns."""


def _as_bronze(plan: Batch, rows: DataFrame, system: str, masks: Mapping[str, str]) -> tuple[Batch, DataFrame]:
    fields = [field for field in rows.schema.fields if field.name not in _BESIDE]
    columns = tuple(field.name for field in fields)
    types = {field.name: field.dataType.simpleString() for field in fields}
    batch = plan.model_copy(update={"columns": columns, "types": types})
    return batch, _with_audit_columns(masked(rows, masks, columns), batch, system)


def _write(spark: SparkSession, lake: Lake, table: Table, batch: Batch, audited: DataFrame) -> _Loaded:
    path = lake.bronze(batch.table)
    created = ensure(
        spark,
        lake,
        path,
        audited,
        columns=(*batch.columns, CORRUPT_RECORD),
        partition_by=(PROCESSING_DATE,),
        table_properties={"delta.dataSkippingStatsColumns": BATCH_ID},
    )
    if table.bronze.schema_ == "enforce" and not created:
        return _append(spark, lake, fit_to(path, _schema(spark, path), table, batch, audited))
    try:
        return _append(spark, lake, Fitted(batch, audited))
    except Exception as error:
        if enable_features(spark, path, error):
            return _append(spark, lake, Fitted(batch, audited))
        if not is_type_error(error):
            raise
        fit = fit_to(path, _schema(spark, path), table, batch, audited)
    alter_types(spark, path, fit.wider)
    return _append(spark, lake, fit)


@dataclass(frozen=True)
class Fitted:
    """A batch with its rows as bronze can take them once it has the types of `wider`.

    Where JSON was made to fit, `rescues` says so.
    """

    batch: Batch
    rows: DataFrame
    wider: tuple[Difference, ...] = ()
    rescues: bool = False
    evolve: bool = True


def fit_to(path: str, bronze: StructType, table: Table, batch: Batch, rows: DataFrame) -> Fitted:
    """`rows` (with their audit columns) for the bronze at `path`, which has the schema `bronze`.

    With `schema: evolve`, types get as wide as the values of both need. JSON has no schema but that of the lines that
    happen to be in a batch: what does not fit is rescued, and so, with `schema: enforce`, is a field that bronze lacks.
    Raises SchemaMismatch where anything else does not fit.
    """
    rescue = table.source.format == "json"
    ours = StructType([field for field in bronze.fields if field.name not in (*AUDIT_COLUMNS, RESCUED)])
    theirs = StructType([field for field in rows.schema.fields if field.name not in AUDIT_COLUMNS])
    evolve = table.bronze.schema_ == "evolve" or ours.names == [CORRUPT_RECORD]  # no batch had a column yet
    if not rescue and not evolve:
        check_same_columns(path, bronze, rows.schema)
        return Fitted(batch, rows, evolve=False)
    found = changes(ours, theirs)
    clashes = [one for one in found if one.table and one.rows and both(one.table, one.rows) is None]
    if clashes and not rescue:
        raise SchemaMismatch(
            f"{path}: columns of the batch have another type than the table's, and no type takes both: "
            f"{', '.join(map(str, clashes))}. Nothing was written. Correct the source, or load into a new table."
        )
    wanted = merged(ours, theirs) if evolve else ours
    assert isinstance(wanted, StructType)
    kinds = {field.name: field.dataType for field in theirs.fields}
    columns = batch.columns if evolve else tuple(name for name in ours.names if name != CORRUPT_RECORD)
    return Fitted(
        batch.model_copy(update={"columns": columns}),
        fitted(rows, kinds, wanted, rescue=rescue),
        wider=tuple(changes(ours, wanted)),
        rescues=rescue,
    )


def _append(spark: SparkSession, lake: Lake, fit: Fitted) -> _Loaded:
    batch, path = fit.batch, lake.bronze(fit.batch.table)
    commits = own_history(spark, path)
    place = Place.of(batch, commits)
    if batch.transaction is not None:
        place = replace(place, first=not batch.repeats)
    stamp = _stamp(lake, place, batch)
    seen = Observation()
    rescued = F.count_if(F.col(RESCUED).isNotNull()).alias("rescued") if fit.rescues else None
    rows = fit.rows if rescued is None else fit.rows.observe(seen, rescued)
    with compiled(spark, rows_expected(commits, batch)):
        stamped(place.writer(rows, batch_predicate(batch)), stamp).option("mergeSchema", fit.evolve).save(path)
    commit = written(spark, path, stamp)
    return _Loaded(commit, rescued=int(seen.get.get("rescued", 0)) if fit.rescues else 0, columns=batch.types)


def _schema(spark: SparkSession, path: str) -> StructType:
    return spark.read.format("delta").load(path).schema


def _stamp(lake: Lake, place: Place, batch: Batch) -> Stamp:
    named = {"pipeline": lake.pipeline, "layer": "bronze", "table": batch.table, "run": batch.run_id}
    if batch.transaction is None:
        return place.stamp(f"{batch.table}/{batch.id}/bronze", batch, **named)
    return replace(place.stamp(application(batch.table), batch, **named), version=batch.transaction)


def _with_audit_columns(rows: DataFrame, batch: Batch, system: str) -> DataFrame:
    if clash := [column for column in batch.columns if column.lower() in AUDIT_COLUMNS]:
        raise SchemaMismatch(
            f"tables.{batch.table}: the source has columns that bronze keeps for itself: {', '.join(clash)}. "
            "Rename them in the source. Nothing was written."
        )
    hashed = [F.col(quote(column)) for column in (*sorted(batch.columns), CORRUPT_RECORD)]
    return rows.select(
        F.lit(batch.id).alias(BATCH_ID),
        *(F.col(quote(column)) for column in (*batch.columns, CORRUPT_RECORD)),
        F.lit(batch.run_id).alias("_run_id"),
        F.lit(batch.processing_date).alias(PROCESSING_DATE),
        F.current_timestamp().alias("_bronze_ingestion_timestamp"),
        F.lit(system).alias("_source_system"),
        *(F.col(name) for name in (SOURCE_FILE, SOURCE_POSITION) if name in rows.columns),
        F.sha2(F.to_json(F.struct(*hashed), EXACT_JSON), 256).alias(RECORD_HASH),
        F.lit(batch.order).alias(BATCH_ORDER),
    )
