"""A day of flights by hand: the Spark and Delta statements that an engineer would write for this one pipeline.

The same tables, columns, checks, dead letters and rule outcomes as `dags/flights.yaml` gives, with nothing general in
it: every name, type and path is known, and so are the partitions that a day can change.
"""

from __future__ import annotations

import json
import time
from datetime import date, timedelta

from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

CASTS = {"flight": "int", "sched_dep_time": "int", "air_time": "int", "distance": "int"}
SOURCES = {"delay": "arr_delay"}
KEYS = "flight_date, carrier, flight, origin, sched_dep_time"
BATCH_SCHEMA = "array<struct<rule: string, passed: boolean, failing: bigint, message: string>>"


def load_day(spark: SparkSession, lake: str, landing: str, day: date) -> None:
    """Bronze, gate, silver and both gold tables for one day."""
    batch = f"by-hand-{day}"
    load_bronze(spark, lake, landing, day, batch)
    load_silver(spark, lake, day, batch)
    load_daily(spark, lake, day)
    load_weekly(spark, lake, day)


def load_silver(spark: SparkSession, lake: str, day: date, batch: str) -> None:
    """Gate and merge of a day that is in bronze."""
    rows = _judged(spark, lake, day, batch)
    _gate(spark, lake, rows, day, batch)
    _merge(spark, lake, rows, day)


def _history(spark: SparkSession, path: str) -> None:
    spark.sql(f"DESCRIBE HISTORY delta.`{path}` LIMIT 1").select("version", "operationMetrics").collect()


def load_bronze(spark: SparkSession, lake: str, landing: str, day: date, batch: str) -> None:
    """A day's file as it came."""
    file = f"{landing}/flights/{day}.csv"
    source = spark.read.option("header", True).csv(file).schema
    columns = source.names
    rows = (
        spark.read.schema(source.add("_corrupt_record", "string"))
        .options(header=True, nullValue="NA", enforceSchema=False, columnNameOfCorruptRecord="_corrupt_record")
        .csv(file)
        .select(
            F.lit(batch).alias("_batch_id"),
            *columns,
            F.lit(day).alias("_processing_date"),
            F.current_timestamp().alias("_bronze_ingestion_timestamp"),
            F.col("_metadata.file_path").alias("_source_file"),
            F.sha2(F.to_json(F.struct(*columns)), 256).alias("_record_hash"),
        )
    )
    _replace(rows, f"{lake}/bronze/flights", "_processing_date", f"_processing_date = DATE'{day}'", batch)
    _history(spark, f"{lake}/bronze/flights")


def _judged(spark: SparkSession, lake: str, day: date, batch: str):  # type: ignore[no-untyped-def]
    bronze = spark.read.format("delta").load(f"{lake}/bronze/flights")
    bronze = bronze.where(f"_processing_date = DATE'{day}' AND _batch_id = '{batch}' AND origin IS NOT NULL")
    casts = {**CASTS, "delay": "int"}
    bad_casts = ", ".join(
        f"CASE WHEN {SOURCES.get(name, name)} IS NOT NULL AND try_cast({SOURCES.get(name, name)} AS {kind}) IS NULL "
        f"THEN '{name} is no {kind}' END"
        for name, kind in casts.items()
    )
    typed = bronze.select(
        F.expr("make_date(int(year), int(month), int(day)) AS flight_date"),
        F.expr("upper(trim(carrier)) AS carrier"),
        *(F.expr(f"try_cast({SOURCES.get(name, name)} AS {kind}) AS {name}") for name, kind in casts.items()),
        "origin",
        "dest",
        "tailnum",
        F.to_json(F.struct("*")).alias("payload"),
        F.expr(f"array_compact(array({bad_casts})) AS bad_casts"),
        "_batch_id",
        "_source_file",
        "_record_hash",
    )
    checks = {
        "has_tailnum": "tailnum IS NOT NULL",
        "has_distance": "coalesce(distance > 0, false)",
        "origin": "origin IN ('EWR', 'JFK', 'LGA')",
        "distance": "distance BETWEEN 1 AND 20000",
        "carrier": "carrier RLIKE '^[A-Z0-9]{2}$'",
        "key": "flight_date IS NOT NULL AND flight IS NOT NULL AND sched_dep_time IS NOT NULL",
    }
    broken = ", ".join(f"CASE WHEN NOT ({sql}) THEN '{name}' END" for name, sql in checks.items())
    return (
        typed.withColumn("errors", F.expr(f"concat(bad_casts, array_compact(array({broken})))"))
        .withColumn("_sequence", F.struct("sched_dep_time", F.lit(day).alias("batch"), "_record_hash"))
        .withColumn(
            "rank", F.expr(f"row_number() OVER (PARTITION BY size(errors) = 0, {KEYS} ORDER BY _sequence DESC)")
        )
        .withColumn("twins", F.expr(f"count(*) OVER (PARTITION BY size(errors) = 0 AND rank = 1, {KEYS})"))
    )


def _gate(spark: SparkSession, lake: str, rows, day: date, batch: str) -> None:  # type: ignore[no-untyped-def]
    seen = Observation()
    good = "size(errors) = 0 AND rank = 1"
    measures = {
        "read": "count(1)",
        "rejected": "count_if(size(errors) > 0)",
        "deduplicated": "count_if(size(errors) = 0 AND rank > 1)",
        "good": f"count_if({good})",
        "nulls": f"count_if({good} AND delay IS NULL)",
        "twins": f"count_if({good} AND twins > 1)",
        "on_earth": "count_if(coalesce(air_time, 0) >= 1440)",
        **{
            name: f"count_if(array_contains(errors, '{name}'))"
            for name in ("has_tailnum", "has_distance", "origin", "distance", "carrier", "key")
        },
    }
    letters = (
        rows.observe(seen, *(F.expr(sql).alias(name) for name, sql in measures.items()))
        .where("size(errors) > 0")
        .select(
            F.expr("sha2(concat_ws('/', _batch_id, _record_hash), 256) AS id"),
            "_batch_id",
            F.lit(day).alias("_processing_date"),
            "payload",
            "errors",
            "_source_file",
            F.current_timestamp().alias("rejected_at"),
            F.lit("open").alias("status"),
        )
    )
    _replace(letters, f"{lake}/dlq/flights", "_processing_date", f"_processing_date = DATE'{day}'", batch)
    found = seen.get
    outcomes = [{"rule": name, "passed": not found[name], "failing": found[name], "message": ""} for name in measures]
    book = spark.range(1).select(F.inline(F.from_json(F.lit(json.dumps(outcomes)), BATCH_SCHEMA)))
    book.withColumn("batch", F.lit(batch)).write.format("delta").mode("append").save(f"{lake}/ops/quality")


def _merge(spark: SparkSession, lake: str, rows, day: date) -> None:  # type: ignore[no-untyped-def]
    path = f"{lake}/silver/flights"
    good = rows.where("size(errors) = 0 AND rank = 1").drop("payload", "bad_casts", "errors", "rank", "twins")
    good = good.withColumn("_ingested_at", F.current_timestamp())
    if not _exists(spark, path):
        good.limit(0).writeTo(f"delta.`{path}`").using("delta").partitionedBy(F.col("flight_date")).create()
    good.createOrReplaceTempView("by_hand")
    same = " AND ".join(f"t.{key} = s.{key}" for key in KEYS.split(", "))
    spark.sql(
        f"MERGE INTO delta.`{path}` t USING by_hand s ON {same} AND t.flight_date = DATE'{day}' "
        "WHEN MATCHED AND s._sequence > t._sequence THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
    ).collect()
    _history(spark, path)


def load_daily(spark: SparkSession, lake: str, day: date) -> None:
    """The carriers' flights of a day."""
    rows = spark.sql(
        "SELECT flight_date, carrier, count(*) AS flights, avg(delay) AS avg_delay "
        f"FROM delta.`{lake}/silver/flights` WHERE flight_date = DATE'{day}' GROUP BY flight_date, carrier"
    )
    rows = rows.persist()
    if rows.agg(F.count(F.lit(1))).collect()[0][0] < 1:
        raise ValueError("no rows")
    _replace(rows, f"{lake}/gold/daily_carrier", "flight_date", f"flight_date = DATE'{day}'", str(day))
    rows.unpersist()
    _history(spark, f"{lake}/gold/daily_carrier")


def load_weekly(spark: SparkSession, lake: str, day: date) -> None:
    """The carriers' flights of the weeks that a day belongs to."""
    last = day + timedelta(days=6)
    rows = spark.sql(
        "SELECT carrier, flight_date, sum(flights) OVER (PARTITION BY carrier ORDER BY flight_date "
        "RANGE BETWEEN INTERVAL 6 DAYS PRECEDING AND CURRENT ROW) AS flights_7d "
        f"FROM delta.`{lake}/gold/daily_carrier` "
        f"WHERE flight_date >= DATE'{day - timedelta(days=6)}' AND flight_date <= DATE'{last}'"
    ).where(f"flight_date >= DATE'{day}' AND flight_date <= DATE'{last}'")
    changed = f"flight_date >= DATE'{day}' AND flight_date <= DATE'{last}'"
    _replace(rows, f"{lake}/gold/weekly_carrier", "flight_date", changed, str(day))
    _history(spark, f"{lake}/gold/weekly_carrier")


def _replace(rows, path: str, partition: str, predicate: str, application: str) -> None:  # type: ignore[no-untyped-def]
    (
        rows.write.format("delta")
        .mode("overwrite")
        .partitionBy(partition)
        .options(replaceWhere=predicate, userMetadata=json.dumps({"batch": application}))
        .options(txnAppId=application, txnVersion=time.time_ns() // 1_000_000)
        .save(path)
    )


def _exists(spark: SparkSession, path: str) -> bool:
    try:
        spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()
    except Exception:
        return False
    return True
