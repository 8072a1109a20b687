"""`quality`: how the rules of a pipeline came out, and whether that gets better or worse."""

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.lake import working
from airflow_ingest.cli.tables import recorded_name
from airflow_ingest.config import IngestError, Pipeline, load_pipeline

if TYPE_CHECKING:
    from airflow_ingest.lakehouse.quality.trend import RuleHistory

__all__ = ["show_quality", "sparkline"]

_BARS = "▁▂▃▄▅▆▇█"


def show_quality(
    file: Path, table: str | None, *, runs: int, html: Path | None, remote: str | None, as_json: bool
) -> int:
    """Print how each rule of the pipeline in `file`, or of one `table`, came out on its newest `runs` batches.

    With `html` a page with charts is written there. Returns 1 if a rule of severity error is broken by the newest batch
    that it has judged, else 0. Raises ConfigError, IngestError for an unknown table or a page that cannot be written,
    RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse.quality.history import quality_history
    from airflow_ingest.lakehouse.quality.report import report_page

    pipeline = load_pipeline(file)
    judged = _judged(pipeline)
    if table is not None:
        judged &= {recorded_name(table, pipeline)}
    with working(pipeline, remote) as (spark, lake), notes().status("Looking …"):
        found = quality_history(spark, lake, judged, runs=runs)
    if html is not None:
        _write(html, report_page(pipeline.pipeline, found, datetime.now(timezone.utc)))
    if as_json:
        results().print(json.dumps([rule.to_dict() for rule in found], indent=2), markup=False)
    elif found:
        results().print(_drawn(pipeline, found))
    else:
        results().print(f"no rule of {table or pipeline.pipeline} has judged a batch yet", markup=False)
    return 1 if any(rule.severity == "error" and not rule.last.passed for rule in found) else 0


def sparkline(values: Sequence[float | None]) -> str:
    """The values as bars between the least and the greatest of them; a blank where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return " " * len(values)
    low, span = min(known), (max(known) - min(known)) or 1.0
    top = len(_BARS) - 1
    return "".join(" " if value is None else _BARS[round((value - low) / span * top)] for value in values)


def _write(file: Path, page: str) -> None:
    try:
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        problem = f"--html: {file} cannot be written: {error.strerror}. Name a file in a folder that you may write to."
        raise IngestError(problem) from None
    notes().print(f"{file} is written", markup=False)


def _judged(pipeline: Pipeline) -> set[str]:
    """The tables that have rules, as the results name them; what others had is past."""
    gold = {f"gold.{name}" for name, each in pipeline.gold.items() if each.quality.rules}
    return gold | {name for name, each in pipeline.tables.items() if each.quality.rules}


def _drawn(pipeline: Pipeline, rules: "Sequence[RuleHistory]") -> RichTable:
    drawn = RichTable(title=escape(pipeline.pipeline), header_style="bold")
    for column in ("table", "rule", "severity", "last", "failing", "found", "allowed", "trend"):
        drawn.add_column(column, justify="right" if column in ("failing", "found") else "left")
    last_table = ""
    for rule in rules:
        last = rule.last
        broken = "yellow" if rule.severity != "error" else "bold red"
        drawn.add_row(
            rule.table if rule.table != last_table else "",
            escape(rule.rule),
            rule.severity,
            "[green]holds[/]" if last.passed else f"[{broken}]broken[/]",
            f"{last.failing:,}",
            "" if last.value is None else f"{last.value:g}",
            escape(last.threshold),
            sparkline([point.measure for point in rule.points]),
        )
        last_table = rule.table
    return drawn
