"""`status`: how far every table has got."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.cli.intervals import intervals_between
from airflow_ingest.cli.run import WORKERS
from airflow_ingest.config import Pipeline, load_pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Circuit, GoldStatus, TableStatus

__all__ = ["missing_intervals", "show_status"]

Span = tuple[datetime, datetime]


def show_status(file: Path, *, remote: str | None, as_json: bool = False) -> int:
    """Print the state of every table of the pipeline in `file`. Returns 1 if one could not be looked at, else 0.

    Raises ConfigError, and RuntimeProblem for Spark.
    """
    pipeline = load_pipeline(file)
    tables, gold, problems, circuit = _look(pipeline, remote)
    gaps = {table.table: missing_intervals(table.loaded, pipeline) for table in tables}
    if as_json:
        told = {
            "pipeline": pipeline.pipeline,
            "tables": [_as_dict(table, gaps[table.table]) for table in tables],
            "gold": [found.to_dict() for found in gold],
            "problems": problems,
            "circuit": circuit and circuit.to_dict(),
        }
        results().print(json.dumps(told, indent=2), markup=False)
    else:
        from airflow_ingest.cli.status_report import print_status

        print_status(pipeline, tables, gold, gaps, problems)
        if circuit is not None and pipeline.circuit_breaker is not None:
            from airflow_ingest.lakehouse import describe_circuit

            results().print(f"circuit: {describe_circuit(circuit, pipeline.circuit_breaker)}", markup=False)
    return 1 if problems else 0


def missing_intervals(loaded: "tuple[datetime, ...]", pipeline: Pipeline) -> list[Span]:
    """The intervals of the schedule between the first and the last of those that end at `loaded`, but for these."""
    if len(loaded) < 2 or not isinstance(pipeline.schedule, str):
        return []
    ends = set(loaded)
    between = intervals_between(min(ends), max(ends), pipeline.schedule, pipeline.timezone)
    return [(start, end) for start, end in between if end not in ends and end < max(ends)]


def _look(
    pipeline: Pipeline, remote: str | None
) -> "tuple[list[TableStatus], list[GoldStatus], dict[str, str], Circuit | None]":
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.cli.steps import explained
    from airflow_ingest.lakehouse import GoldStatus, Lake, TableStatus, gold_status, read_circuit, table_status

    lake, problems = Lake(pipeline.lake, pipeline.pipeline), dict[str, str]()

    def table(spark: "SparkSession", name: str) -> TableStatus:
        try:
            return table_status(spark, lake, name, pipeline.tables[name])
        except Exception as error:
            problems[name] = explained(error)
            return TableStatus(table=name)

    def gold(spark: "SparkSession", name: str) -> GoldStatus:
        try:
            return gold_status(spark, lake, name, pipeline.gold[name])
        except Exception as error:
            problems[f"gold.{name}"] = explained(error)
            return GoldStatus(table=name)

    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    try:
        with notes().status("Looking …"):
            found = sessions.each(table, pipeline.tables, workers=WORKERS)
            of_gold = sessions.each(gold, pipeline.gold, workers=WORKERS)
            if pipeline.circuit_breaker is None:
                return found, of_gold, problems, None
            with sessions.borrow() as spark:
                return found, of_gold, problems, read_circuit(spark, lake, pipeline.circuit_breaker)
    finally:
        sessions.close()


def _as_dict(table: "TableStatus", gaps: list[Span]) -> dict[str, Any]:
    told = table.to_dict()
    told["loaded"] = len(table.loaded)
    told["gaps"] = [{"start": start.isoformat(), "end": end.isoformat()} for start, end in gaps]
    return told
