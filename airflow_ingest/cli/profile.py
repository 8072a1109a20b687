"""`profile`: what the columns of published tables hold."""

import difflib
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.cli.run import WORKERS
from airflow_ingest.config import IngestError, Pipeline, load_pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import ProfileChange, TableProfile

__all__ = ["profile_tables", "published_tables"]


def profile_tables(
    file: Path,
    table: str | None,
    *,
    version: int | None,
    all_columns: bool,
    remote: str | None,
    as_json: bool = False,
) -> int:
    """Print what the columns of a table of the pipeline in `file` hold, or of all its tables in silver and gold.

    Returns 1 if one of them could not be profiled, else 0. Raises ConfigError, IngestError for `table` and `version`,
    RuntimeProblem for Spark.
    """
    pipeline = load_pipeline(file)
    if table is None and version is not None:
        raise IngestError(f"--version {version}: every table counts its own versions. Name the TABLE that is meant.")
    tables = published_tables(pipeline) if table is None else [_named(table, pipeline)]
    found, problems = _profiles(pipeline, tables, version, remote, all_columns=all_columns)
    if as_json:
        told = {
            "pipeline": pipeline.pipeline,
            "profiles": [
                {**profile.to_dict(), "changes": changes.to_dict() if changes else None} for profile, changes in found
            ],
            "problems": problems,
        }
        results().print(json.dumps(told, indent=2), markup=False)
    else:
        from airflow_ingest.cli.profile_report import print_profiles

        print_profiles(pipeline, found, problems)
    return 1 if problems else 0


def published_tables(pipeline: Pipeline) -> list[str]:
    """The pipeline's tables in silver and gold, with their layers."""
    silver = [f"silver.{name}" for name, table in pipeline.tables.items() if table.silver]
    return [*silver, *(f"gold.{name}" for name in pipeline.gold)]


def _named(table: str, pipeline: Pipeline) -> str:
    """`table` with its layer. Raises IngestError if it is none of the pipeline's, or stops at bronze."""
    known = published_tables(pipeline)
    if table in known:
        return table
    name = table.rpartition(".")[2]
    same = [one for one in known if one.partition(".")[2] == name]
    if len(same) == 1 and table == name:
        return same[0]
    if name in pipeline.tables and not same:
        raise IngestError(f"{table}: {name} stops at bronze, and profiles are of silver and gold. Give it a `silver`.")
    near = same or difflib.get_close_matches(table, known, n=1)
    near = near or [one for one in known if difflib.get_close_matches(name, [one.partition(".")[2]])]
    hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(known)}."
    raise IngestError(f"{table}: the pipeline {pipeline.pipeline!r} has no such table. {hint}")


def _profiles(
    pipeline: Pipeline, tables: Sequence[str], version: int | None, remote: str | None, *, all_columns: bool
) -> "tuple[list[tuple[TableProfile, ProfileChange | None]], dict[str, str]]":
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.cli.steps import explained
    from airflow_ingest.lakehouse import Lake, RunInfo, changes_since, profile_before, profile_table

    lake, problems = Lake(pipeline.lake, pipeline.pipeline), dict[str, str]()
    run_id = f"cli__profile__{datetime.now(timezone.utc).isoformat(timespec='seconds')}"
    run = RunInfo(pipeline=pipeline.pipeline, run_id=run_id, kind="manual")

    def profile(spark: "SparkSession", table: str) -> "tuple[TableProfile, ProfileChange | None] | None":
        hidden = pipeline.masked(table)
        try:
            found = profile_table(spark, lake, table, run, version=version, hidden=hidden, all_columns=all_columns)
            before = profile_before(spark, lake, found)
        except Exception as error:
            problems[table] = explained(error)
            return None
        return found, changes_since(before, found) if before else None

    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    try:
        with notes().status("Measuring …"):
            found = sessions.each(profile, tables, workers=WORKERS)
            return [one for one in found if one], problems
    finally:
        sessions.close()
