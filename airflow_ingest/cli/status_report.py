"""A pipeline's status as a table, and below it what somebody may have to do something about."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from airflow_ingest.cli.console import results
from airflow_ingest.cli.intervals import shown
from airflow_ingest.cli.run import days_of

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline
    from airflow_ingest.lakehouse import GoldStatus, TableStatus
    from airflow_ingest.lakehouse.status import LayerStatus

__all__ = ["print_status"]

_LISTED = 10
Gaps = Mapping[str, Sequence[tuple[datetime, datetime]]]


def print_status(
    pipeline: "Pipeline",
    tables: "Sequence[TableStatus]",
    gold: "Sequence[GoldStatus]",
    gaps: Gaps,
    problems: Mapping[str, str],
) -> None:
    """Print the state of a pipeline's tables; times are in its timezone."""
    out, zone = results(), pipeline.timezone
    drawn = RichTable(title=escape(pipeline.pipeline), header_style="bold")
    for column in ("table", "layer", "up to", "version", "last load", "of", "by run", "rows"):
        numeric = column in ("version", "rows")
        drawn.add_column(column, justify="right" if numeric else "left", no_wrap=column != "by run", overflow="fold")
    for table in tables:
        drawn.add_row(table.table, "bronze", *_layer(table.bronze, zone))
        if table.silver or table.waiting:
            drawn.add_row("", "silver", *_layer(table.silver, zone))
    for found in gold:
        version = "-" if found.version is None else str(found.version)
        when = "never loaded" if found.version is None else shown(found.at, zone)
        drawn.add_row(found.table, "gold", "", version, when, "", found.run_id, "")
    out.print(drawn)
    for table in tables:
        for note in _notes(table, gaps[table.table], zone):
            out.print(f"{table.table}: {note}", markup=False)
    for found in gold:
        if found.news:
            out.print(f"gold.{found.table}: {'; '.join(found.news)}", markup=False)
    for name, problem in problems.items():
        out.print(f"[bold red]{escape(name)}[/]: {escape(problem)}")


def _layer(layer: "LayerStatus | None", zone: str) -> list[str]:
    """The cells from `up to` on."""
    if layer is None:
        return ["-", "-", "never loaded"]
    if layer.last is None:
        return [shown(layer.watermark, zone), str(layer.version)]
    last, span = layer.last, layer.last.interval
    day = days_of([(span.start, span.end)], zone)[0] if span else last.batch_id
    when = shown(last.at, zone)
    return [shown(layer.watermark, zone), str(layer.version), when, day, escape(last.run_id), f"{last.rows:,}"]


def _notes(table: "TableStatus", missing: Sequence[tuple[datetime, datetime]], zone: str) -> Iterator[str]:
    for waiting in table.waiting:
        span = waiting.batch.interval
        day = f" of {days_of([(span.start, span.end)], zone)[0]}" if span else ""
        yield f"batch {waiting.batch.id}{day} is {waiting.state}{f': {waiting.reason}' if waiting.reason else ''}"
    for failure in table.failed:
        tries = f"{failure.attempts} tries" if failure.attempts > 1 else "1 try"
        yield f"{failure.step} of {failure.run_id} was given up after {tries}: {failure.error}"
    if table.open_letters:
        yield f"{table.open_letters:,} open dead letters"
    if missing:
        more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
        yield f"gaps, never loaded: {', '.join(days_of(missing[:_LISTED], zone))}{more}"
