"""`plan`: what a run would do, and nothing done."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.cli.engine import Unit, units_of
from airflow_ingest.cli.intervals import IntervalError, intervals_of
from airflow_ingest.cli.run import WORKERS, check_names, days_of, make_importable
from airflow_ingest.config import Pipeline, load_pipeline
from airflow_ingest.graph import compile_graph

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import GoldPlan, TablePlan

__all__ = ["plan_pipeline"]


def plan_pipeline(file: Path, when: str, tables: Sequence[str], *, remote: str | None, as_json: bool = False) -> int:
    """Print what a run of the pipeline in `file` would do for the one interval that `when` names.

    Returns 1 if a table would fail or its batch be held, else 0. Raises ConfigError, IntervalError for `when`,
    IngestError for a name in `tables`, RuntimeProblem for Spark.
    """
    pipeline = load_pipeline(file)
    check_names(tables, pipeline)
    make_importable(file)
    start, end = interval = _one_interval(when, pipeline)
    units = [unit for unit in units_of(compile_graph(pipeline), tables) if not unit.is_profile]
    silver, gold = _plans(pipeline, units, interval, remote)
    if as_json:
        told = {
            "pipeline": pipeline.pipeline,
            "interval": {"start": start.isoformat(), "end": end.isoformat()},
            "tables": [plan.to_dict() for plan in silver],
            "gold": [plan.to_dict() for plan in gold],
        }
        results().print(json.dumps(told, indent=2), markup=False)
    else:
        from airflow_ingest.cli.plan_report import print_plan

        print_plan(pipeline.pipeline, days_of([interval], pipeline.timezone)[0], silver, gold)
    states = [*(plan.status for plan in silver), *(plan.status for plan in gold)]
    return 1 if "fail" in states or "hold" in states else 0


def _one_interval(when: str, pipeline: Pipeline) -> tuple[datetime, datetime]:
    schedule = pipeline.schedule if isinstance(pipeline.schedule, str) else None
    intervals = intervals_of(when, schedule, pipeline.timezone)
    if len(intervals) > 1:
        raise IntervalError(
            f"--interval {when}: these are {len(intervals)} data intervals, and each changes what the next one finds. "
            f"Plan one of them: --interval {intervals[0][0]:%Y-%m-%dT%H:%MZ}, say."
        )
    return intervals[0]


def _plans(
    pipeline: Pipeline, units: Sequence[Unit], interval: tuple[datetime, datetime], remote: str | None
) -> "tuple[list[TablePlan], list[GoldPlan]]":
    from airflow_ingest._databases import database_without_airflow
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.cli.steps import explained, run_info, source_files
    from airflow_ingest.lakehouse import GoldPlan, Lake, TablePlan, plan_gold, plan_table

    lake, run = Lake(pipeline.lake, pipeline.pipeline), run_info(pipeline, *interval)

    def silver(spark: "SparkSession", unit: Unit) -> TablePlan:
        table = pipeline.tables[unit.target]
        try:
            database = database_without_airflow(table.source.jdbc) if table.source.jdbc else None
            files = source_files(table, run)
            return plan_table(spark, lake, unit.target, table, run, files=files, database=database)
        except Exception as error:
            return TablePlan(table=unit.target, status="fail", reason=explained(error))

    def gold(spark: "SparkSession", unit: Unit) -> GoldPlan:
        try:
            return plan_gold(spark, lake, unit.target, pipeline.gold[unit.target])
        except Exception as error:
            return GoldPlan(table=unit.target, status="fail", reason=explained(error))

    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    try:
        with notes().status("Planning …"):
            return (
                sessions.each(silver, [unit for unit in units if not unit.is_gold], workers=WORKERS),
                sessions.each(gold, [unit for unit in units if unit.is_gold], workers=WORKERS),
            )
    finally:
        sessions.close()
