"""A plan as text: for each table what is read, what becomes of the rows, and the SQL."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.markup import escape

from airflow_ingest.cli.console import results

if TYPE_CHECKING:
    from airflow_ingest.lakehouse import GoldPlan, RowCounts, TablePlan

__all__ = ["print_plan"]

_WOULD = {
    "load": "[green]would be loaded[/]",
    "hold": "[yellow]would be held[/]",
    "skip": "[dim]would be skipped[/]",
    "supersede": "[dim]would change nothing in silver[/]",
    "fail": "[bold red]would fail[/]",
    "recompute": "[green]would be recomputed[/]",
    "unchanged": "[dim]would stay as it is[/]",
    "wait": "[dim]would have to wait[/]",
}
_FATES = ("inserted", "updated", "deleted", "unchanged", "superseded", "rejected", "filtered", "deduplicated")
_LISTED = 10


def print_plan(pipeline: str, day: str, tables: "Sequence[TablePlan]", gold: "Sequence[GoldPlan]") -> None:
    """Print the plan of one run."""
    out = results()
    out.print(f"[bold]{escape(pipeline)}[/], {escape(day)}: a plan, nothing is written")
    for table in tables:
        out.print(f"\n[bold cyan]{escape(table.table)}[/] {_would(table.status, table.reason)}")
        _lines(_of_table(table))
        _sql(table.select, table.statement)
    fresh = [f"silver.{table.table}" for table in tables if _publishes(table)]
    for plan in gold:
        out.print(f"\n[bold cyan]gold.{escape(plan.table)}[/] {_would(plan.status, plan.reason)}")
        _lines(_of_gold(plan, fresh))
        _sql(plan.query, _way(plan))
        if plan.status == "recompute" or _coming(plan, fresh):
            fresh.append(f"gold.{plan.table}")


def _publishes(plan: "TablePlan") -> bool:
    rows = plan.rows
    return plan.status == "load" and (plan.overwrites or rows.written + rows.retracted > 0)


def _would(status: str, reason: str) -> str:
    return f"{_WOULD[status]}{escape(f': {reason}') if reason else ''}"


def _lines(told: Iterable[tuple[str, str]]) -> None:
    previous = ""
    for label, text in told:
        results().print(f"  {label if label != previous else '':<9} {text}", markup=False)
        previous = label


def _sql(*statements: str) -> None:
    for statement in filter(None, statements):
        text = "\n".join(f"    {line}" for line in statement.strip().splitlines())
        results().print(f"\n{text}", markup=False, style="dim")


def _of_table(plan: "TablePlan") -> Iterator[tuple[str, str]]:
    if plan.batch is None:
        return
    interval = plan.batch.interval
    span = f", {interval.start.isoformat()} to {interval.end.isoformat()}" if interval else ""
    again = f"loaded before: takes the place of {plan.in_bronze:,} rows in bronze" if plan.again else "first load"
    yield "batch", f"{plan.batch.id}{span}, {again}"
    if versions := plan.batch.versions:
        changes = versions.since is not None
        which = f"what changed from version {versions.since} to {versions.to}" if changes else f"version {versions.to}"
        yield "versions", f"{versions.path}: {which}"
    for file in plan.batch.files[:_LISTED]:
        yield "files", f"{file.path} ({decimal(file.size)})"
    if len(plan.batch.files) > _LISTED:
        rest = plan.batch.files[_LISTED:]
        yield "files", f"and {len(rest):,} more ({decimal(sum(file.size for file in rest))})"
    yield "rows", _account(plan.rows)
    if plan.rows.retracted:
        yield "rows", f"{plan.rows.retracted:,} rows of the earlier load are taken back from silver"
    for reason, rows in sorted(plan.rejections.items(), key=lambda item: (-item[1], item[0])):
        yield "rejected", f"{reason}: {rows:,}"
    if plan.decision:
        yield "gate", plan.decision
    for reason in plan.reasons:
        yield "gate", reason
    for other in plan.others:
        when = f"{other.batch.interval.start.isoformat()}, " if other.batch.interval else ""
        taken = "stays held in any run" if other.state == "held" else "a scheduled run takes it along"
        yield "waiting", f"batch {other.batch.id} ({when}{other.state}): {other.reason or taken}"


def _account(rows: "RowCounts") -> str:
    parts = [f"{getattr(rows, fate):,} {fate}" for fate in _FATES if getattr(rows, fate)]
    if not parts:
        return f"{rows.read:,} read"
    undecided = [f"{rows.unaccounted:,} accepted, and held"] if rows.unaccounted else []
    return f"{rows.read:,} read = {' + '.join([*undecided, *parts])}"


def _of_gold(plan: "GoldPlan", fresh: Sequence[str]) -> Iterator[tuple[str, str]]:
    for source, version in plan.inputs.items():
        taken = plan.taken.get(source)
        known = "" if taken is None else ", taken already" if taken == version else f", taken up to {taken}"
        yield "reads", f"{source} at version {version}{known}"
    if plan.partitions:
        more = f" and {len(plan.partitions) - _LISTED:,} more" if len(plan.partitions) > _LISTED else ""
        yield "writes", f"{', '.join(plan.partitions[:_LISTED])}{more}"
    if coming := _coming(plan, fresh):
        yield "news", f"what this run publishes in {', '.join(coming)} comes on top"


def _way(plan: "GoldPlan") -> str:
    """How the rows go in, as a comment."""
    if not plan.keys:
        return f"-- in place of the rows where {plan.replaces}" if plan.replaces else ""
    among = f", among the rows where {plan.replaces}" if plan.replaces else ""
    return f"-- what differs, merged by {', '.join(plan.keys)}{among}"


def _coming(plan: "GoldPlan", fresh: Iterable[str]) -> list[str]:
    """The inputs that this run publishes before it comes to the gold table."""
    return [source for source in fresh if source in (*plan.inputs, *plan.absent)]
