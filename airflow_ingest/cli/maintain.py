"""`maintain`: files of a good size, and none of the past."""

import difflib
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table as RichTable

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.endpoint import endpoint_of
from airflow_ingest.cli.run import WORKERS
from airflow_ingest.config import IngestError, Pipeline, load_pipeline, parse_duration

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Maintained, Target

__all__ = ["maintain_pipeline"]

RUN_ID = "cli__maintain"
_STYLES = {"maintained": "green", "left alone": "dim", "next time": "yellow", "failed": "bold red"}


def maintain_pipeline(
    file: Path,
    tables: Sequence[str],
    *,
    remote: str | None,
    retain: str | None = None,
    dry_run: bool = False,
    as_json: bool = False,
) -> int:
    """Look after the tables of the pipeline in `file`, or print what would be done. Returns 1 if one failed, else 0.

    Raises ConfigError, IngestError for a name in `tables` or for `retain`, RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import check_retention

    pipeline = load_pipeline(file)
    targets = _chosen(tables, pipeline)
    keep = _duration(retain)
    check_retention(keep)
    done = _maintain(pipeline, targets, remote, keep, dry_run=dry_run)
    if as_json:
        told = {"pipeline": pipeline.pipeline, "tables": [table.to_dict() for table in done]}
        results().print(json.dumps(told, indent=2), markup=False)
    else:
        _print(pipeline.pipeline, done, dry_run=dry_run)
    return 1 if any(table.status == "failed" for table in done) else 0


def _chosen(names: Sequence[str], pipeline: Pipeline) -> "list[Target]":
    """The tables that `names` mean: `silver.orders` one of them, `orders` all that are kept of it."""
    from airflow_ingest.lakehouse import targets_of

    targets = targets_of(pipeline)
    meant = {target.table: {target.table, target.name, target.name.rpartition("/")[2]} for target in targets}
    known = sorted(set().union(*meant.values()))
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(meant)}."
            raise IngestError(f"--table {name}: the pipeline {pipeline.pipeline!r} has no such table. {hint}")
    return [target for target in targets if not names or not meant[target.table].isdisjoint(names)]


def _duration(text: str | None) -> timedelta | None:
    try:
        return None if text is None else parse_duration(text)
    except PydanticCustomError as error:
        context = error.context or {}
        raise IngestError(f"--retain {text}: {context['problem']}. {context['hint']}") from None


def _maintain(
    pipeline: Pipeline, targets: "Sequence[Target]", remote: str | None, retain: timedelta | None, *, dry_run: bool
) -> "list[Maintained]":
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.cli.steps import explained
    from airflow_ingest.lakehouse import Lake, Maintained, maintain_table

    lake = Lake(pipeline.lake, pipeline.pipeline)

    def maintain(spark: "SparkSession", target: "Target") -> Maintained | None:
        try:
            return maintain_table(spark, lake, target, RUN_ID, retain=retain, dry_run=dry_run)
        except Exception as error:
            return Maintained(table=target.table, status="failed", reason=explained(error), dry_run=dry_run)

    sessions = Sessions(endpoint_of(pipeline.spark.conn_id, remote), pipeline.spark.conf)
    try:
        with notes().status("Looking …" if dry_run else "Maintaining …"):
            return [done for done in sessions.each(maintain, targets, workers=WORKERS) if done is not None]
    finally:
        sessions.close()


def _print(pipeline: str, done: "Sequence[Maintained]", *, dry_run: bool) -> None:
    out = results()
    if not done:
        out.print(f"{pipeline}: no table is there yet", markup=False)
        return
    title = f"{pipeline}: a plan, nothing is done" if dry_run else pipeline
    drawn = RichTable(title=escape(title), header_style="bold")
    for column in ("table", "state", "files", "size", "removed", "layout and notes", "seconds"):
        numeric = column in ("files", "size", "removed", "seconds")
        noted = column.startswith("layout")
        drawn.add_column(column, justify="right" if numeric else "left", no_wrap=not noted, overflow="fold")
    for table in done:
        drawn.add_row(
            escape(table.table),
            f"[{_STYLES[table.status]}]{_state(table)}[/]",
            _change(f"{table.files_before:,}", f"{table.files_after:,}"),
            _change(decimal(table.bytes_before), decimal(table.bytes_after)),
            "?" if table.removed_files is None else f"{table.removed_files:,}",
            escape("; ".join(filter(None, [table.layout, _forgotten(table), table.reason.partition("\n")[0]]))),
            f"{table.seconds:.1f}",
        )
    out.print(drawn)
    for table in done:
        for statement in table.statements:
            out.print(f"  {statement}", markup=False)
        if table.status == "failed":
            out.print(f"\n{table.table} failed:\n{table.reason}", markup=False)


def _state(table: "Maintained") -> str:
    return "to be maintained" if table.dry_run and table.status == "maintained" else table.status


def _forgotten(table: "Maintained") -> str:
    return f"{table.forgotten:,} rows {'to be ' if table.dry_run else ''}forgotten" if table.forgotten else ""


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"
