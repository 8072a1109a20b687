"""Profiles as tables: a line for each column, and what changed since the profile before."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pendulum
from rich.markup import escape
from rich.table import Table as RichTable

from airflow_ingest.cli.console import results

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline
    from airflow_ingest.lakehouse import ColumnChange, ColumnProfile, ProfileChange, TableProfile

__all__ = ["print_profiles"]

_WIDEST = 32
_TEXTS = ("column", "type", "since")


def print_profiles(
    pipeline: "Pipeline",
    found: "Sequence[tuple[TableProfile, ProfileChange | None]]",
    problems: Mapping[str, str],
) -> None:
    """Print what the columns of some tables hold; times are in the pipeline's timezone."""
    out = results()
    for profile, changes in found:
        out.print(_table(profile, changes, pipeline.timezone))
        gone = [change.name for change in changes.columns if change.kind == "removed"] if changes else []
        if gone:
            out.print(f"{profile.table}: no longer there: {', '.join(map(_plain, gone))}", markup=False)
    for table, problem in problems.items():
        out.print(f"[bold red]{escape(table)}[/]: {escape(problem)}")


def _table(profile: "TableProfile", changes: "ProfileChange | None", zone: str) -> RichTable:
    committed = profile.committed.astimezone(pendulum.timezone(zone))
    title = f"{profile.table}, version {profile.version} of {_moment(committed)}: {profile.rows:,} rows"
    if changes:
        title += f" ({changes.rows[1] - changes.rows[0]:+,} since version {changes.version})"
    drawn = RichTable(title=escape(title), header_style="bold")
    names = ["column", "type", "nulls", "~distinct", "min", "max", "mean", "~median", "length"]
    for name in [*names, "since"] if changes else names:
        drawn.add_column(name, justify="left" if name in _TEXTS else "right", overflow="fold")
    changed = {change.name: change for change in changes.columns} if changes else {}
    for column in profile.columns:
        since = [_since(changed[column.name]) if column.name in changed else ""] if changes else []
        drawn.add_row(*map(escape, [*_cells(column), *since]))
    return drawn


def _cells(column: "ColumnProfile") -> list[str]:
    nulls = _rate(column.null_rate) + (f", {column.nans:,} NaN" if column.nans else "")
    head = [_plain(column.name), _plain(column.type), nulls, _count(column.distinct)]
    if column.hidden:
        return [*head, "hidden", "hidden", "hidden", "hidden", _length(column)]
    mean = "" if column.mean is None else f"{column.mean:,.6g}"
    return [*head, _plain(column.min), _plain(column.max), mean, _plain(column.median), _length(column)]


def _length(column: "ColumnProfile") -> str:
    if column.min_length is None or column.mean_length is None:
        return ""
    if column.min_length == column.max_length:
        return f"{column.min_length:,}"
    return f"{column.min_length:,} to {column.max_length:,}, mean {column.mean_length:,.4g}"


def _since(change: "ColumnChange") -> str:
    if change.kind == "added":
        return "new"
    told = []
    if change.type:
        told.append(f"was {_plain(change.type[0])}")
    if change.null_rate:
        told.append(f"nulls {_rate(change.null_rate[0])} → {_rate(change.null_rate[1])}")
    if change.distinct:
        told.append(f"distinct {_count(change.distinct[0])} → {_count(change.distinct[1])}")
    return "; ".join(told)


def _rate(rate: float | None) -> str:
    if not rate:
        return "-" if rate is None else "0%"
    return "<0.01%" if rate < 0.0001 else f"{rate:.2%}"


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _plain(value: Any) -> str:
    """A value on one line, without what a terminal would obey; long ones cut."""
    if value is None:
        return ""
    shown = "".join(char if char.isprintable() else "·" for char in str(value))
    return shown if len(shown) <= _WIDEST else f"{shown[: _WIDEST - 1]}…"


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M")
