"""Dead letters on a terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table as RichTable

from airflow_ingest.cli.console import results
from airflow_ingest.cli.intervals import shown

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline
    from airflow_ingest.lakehouse import Letter, LettersByRule

__all__ = ["print_letter", "print_letters", "print_summary"]

_SHOWN_ID = 12
"""Of an id's 64 digits: enough to name it by."""
_SHOWN_ROW = 200


def print_summary(pipeline: "Pipeline", found: "Mapping[str, Sequence[LettersByRule]]") -> None:
    """Print how many letters each rule has in each table."""
    if not any(found.values()):
        results().print(f"no table of {pipeline.pipeline} has dead letters", markup=False)
        return
    drawn = RichTable(title=escape(pipeline.pipeline), header_style="bold")
    for column in ("table", "rule", "status", "letters", "first rejected", "last rejected"):
        drawn.add_column(column, justify="right" if column == "letters" else "left")
    for name, counts in found.items():
        for count in counts:
            at = [shown(moment, pipeline.timezone, seconds=True) for moment in (count.first, count.last)]
            drawn.add_row(name, escape(count.rule), count.status, f"{count.letters:,}", *at)
    results().print(drawn)


def print_letters(table: str, letters: "Sequence[Letter]", zone: str, limit: int) -> None:
    """Print one line for each letter, and what to do next."""
    out = results()
    if not letters:
        out.print(f"no such dead letter of {table}", markup=False)
        return
    drawn = RichTable(header_style="bold")
    for column in ("id", "rejected", "status", "tries", "why", "row"):
        drawn.add_column(column, justify="right" if column == "tries" else "left", no_wrap=column in ("id", "rejected"))
    for letter in letters:
        why = "; ".join(dict.fromkeys(reason.message for reason in letter.reasons))
        row = letter.raw or letter.payload or ""
        cut = row if len(row) <= _SHOWN_ROW else f"{row[:_SHOWN_ROW]}…"
        at = shown(letter.rejected_at, zone, seconds=True)
        drawn.add_row(letter.id[:_SHOWN_ID], at, letter.status, str(letter.attempts), escape(why), escape(cut))
    out.print(drawn)
    if len(letters) == limit:
        out.print(f"These are the oldest {limit}; --limit shows more.")


def print_letter(letter: "Letter", zone: str) -> None:
    """Print everything about one letter."""
    out = results()
    closed = f" by {letter.closed_by} at {shown(letter.closed_at, zone, seconds=True)}" if letter.closed_by else ""
    told = {
        "id": letter.id,
        "status": f"{letter.status}{closed}{f': {letter.note}' if letter.note else ''}",
        "rejected": f"{shown(letter.rejected_at, zone, seconds=True)} by {letter.run_id}, rules {letter.rule_version}",
        "batch": f"{letter.batch_id} of {letter.processing_date}",
        "file": letter.source_file,
        "row": letter.source_position,
        "tries": f"{letter.attempts}{f', the last by {letter.tried_by}' if letter.tried_by else ''}",
        "line": letter.raw,
        "payload": letter.payload,
        "fixed": letter.fixed,
    }
    for name, value in told.items():
        if value not in (None, ""):
            out.print(f"{name:9} {value}", markup=False)
    for reason in letter.reasons:
        about = f"{reason.rule} of {reason.column}" if reason.column else reason.rule
        out.print(f"{'why':9} {about}: {reason.message}", markup=False)
