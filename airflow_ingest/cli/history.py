"""`status --history`: what the last runs did."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.intervals import shown
from airflow_ingest.cli.lake import working
from airflow_ingest.cli.tables import recorded_name
from airflow_ingest.config import Pipeline, load_pipeline

if TYPE_CHECKING:
    from airflow_ingest.lakehouse import TableRecord

__all__ = ["show_history"]

_STYLES = {"failed": "bold red", "not run": "red", "held": "yellow", "stopped": "yellow", "loaded": "green"}
_RIGHT = ("read", "written", "rejected", "seconds", "tries")


def show_history(file: Path, table: str | None, runs: int, *, remote: str | None, as_json: bool) -> int:
    """Print what the last `runs` runs of the pipeline in `file`, or of one `table`, did. Returns 0.

    Raises ConfigError, IngestError for an unknown table, RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import run_history

    pipeline = load_pipeline(file)
    if table is not None:
        table = recorded_name(table, pipeline)
    with working(pipeline, remote) as (spark, lake), notes().status("Looking …"):
        found = run_history(spark, lake, table, runs=runs)
    if as_json:
        results().print(json.dumps([record.to_dict() for record in found], indent=2), markup=False)
    elif found:
        results().print(_drawn(pipeline, found))
    else:
        results().print(f"no run of {table or pipeline.pipeline} was written down yet", markup=False)
    return 0


def _drawn(pipeline: Pipeline, records: "Sequence[TableRecord]") -> RichTable:
    drawn = RichTable(title=escape(pipeline.pipeline), header_style="bold")
    for column in ("started", "run", "interval", "table", "status", *_RIGHT, "what went wrong"):
        drawn.add_column(column, justify="right" if column in _RIGHT else "left", overflow="fold")
    last = ""
    for record in records:
        if last and record.run_id != last:
            drawn.add_section()
        started, interval = (shown(at, pipeline.timezone) for at in (record.started, record.interval_start))
        head = [started, record.run_id, interval]
        rows = [f"{count:,}" for count in (record.rows.read, record.rows.written, record.rows.rejected)]
        style = _STYLES.get(record.status, "")
        drawn.add_row(
            *(map(escape, head) if record.run_id != last else ("", "", "")),
            record.table,
            f"[{style}]{record.status}[/]" if style else record.status,
            *rows,
            f"{record.seconds:.1f}",
            str(record.attempts),
            escape(next(iter(record.error.splitlines()), "")),
        )
        last = record.run_id
    return drawn
