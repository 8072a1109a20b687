"""The result table: what each run did with each table. Takes the plain dicts that steps leave in XCom."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich.markup import escape
from rich.table import Table as RichTable
from rich.text import Text

__all__ = ["State", "TableRun", "result_table"]

State = Literal["loaded", "unchanged", "profiled", "skipped", "held", "failed", "not run", "stopped"]

_STYLES: dict[str, str] = {
    "loaded": "green",
    "profiled": "green",
    "held": "yellow",
    "failed": "bold red",
    "not run": "red",
    "stopped": "yellow",
}


@dataclass(frozen=True)
class TableRun:
    """One table in one run.

    - `day`: what names the run, such as its data interval's first day
    - `table`: `flights`, or `gold.daily_carrier`
    - `ingest`: the `LoadResult.to_dict()` of the step that read the source; a gold table has none
    - `gates`: the `GateOutcome.to_dict()` of every batch that was checked
    - `published`: the `LoadResult.to_dict()` of the steps that wrote the last layer: merges into silver, or gold
    - `message`: why the run was held, failed or skipped
    - `seconds`: wall-clock time; left out, the sum of the steps'
    """

    day: str
    table: str
    state: State
    ingest: Mapping[str, Any] | None = None
    gates: Sequence[Mapping[str, Any]] = ()
    published: Sequence[Mapping[str, Any]] = ()
    message: str = ""
    seconds: float | None = None

    @property
    def rows_read(self) -> int:
        """Rows that the source held, or that a gold table's query gave."""
        first = [self.ingest] if self.ingest is not None else self.published
        return sum(_rows(load, "read") for load in first)

    @property
    def rows_merged(self) -> int:
        """Rows that the last layer gained, changed or lost."""
        return sum(_rows(load, "inserted", "updated", "deleted") for load in self.published)

    @property
    def rows_rejected(self) -> int:
        """Rows that went to the dead-letter table."""
        return sum(_rows(gate, "rejected") for gate in self.gates)

    @property
    def reasons(self) -> dict[str, int]:
        """Rows by the reason of their rejection, the most frequent first. A row with two reasons counts in both."""
        counts: dict[str, int] = {}
        for gate in self.gates:
            for reason, rows in gate["rejections"].items():
                counts[reason] = counts.get(reason, 0) + rows
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def warnings(self) -> list[str]:
        """What rules of severity warning or info found."""
        rules = [rule for gate in self.gates for rule in gate["rules"]]
        return [_rule_note(rule) for rule in rules if not rule["passed"] and rule["severity"] != "error"]

    @property
    def took(self) -> float:
        """Seconds."""
        if self.seconds is not None:
            return self.seconds
        steps = (*([self.ingest] if self.ingest else []), *self.gates, *self.published)
        return float(sum(step["seconds"] for step in steps))

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-safe values."""
        return {
            "day": self.day,
            "table": self.table,
            "state": self.state,
            "read": self.rows_read,
            "merged": self.rows_merged,
            "rejected": self.rows_rejected,
            "reasons": self.reasons,
            "warnings": self.warnings,
            "message": self.message,
            "seconds": round(self.took, 2),
        }


def result_table(runs: Iterable[TableRun], title: str | None = None) -> RichTable:
    """A table with one line per run and table: rows read, merged and rejected, with the reasons, and seconds."""
    table = RichTable(title=title, header_style="bold")
    table.add_column("day", no_wrap=True)
    table.add_column("table", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in ("read", "merged", "rejected"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("reasons and notes", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    previous = None
    for run in runs:
        if previous not in (None, run.day):
            table.add_section()
        counted = run.ingest or run.published
        table.add_row(
            run.day if run.day != previous else "",
            run.table,
            Text(run.state, style=_STYLES.get(run.state, "dim")),
            *(f"{rows:,}" if counted else "-" for rows in (run.rows_read, run.rows_merged, run.rows_rejected)),
            escape("\n".join(_notes(run))),
            f"{run.took:.1f}",
        )
        previous = run.day
    return table


def _notes(run: TableRun) -> list[str]:
    reasons = [f"{reason}: {rows:,}" for reason, rows in run.reasons.items()]
    return [*reasons, *run.warnings, *([run.message.splitlines()[0]] if run.message else [])]


def _rule_note(rule: Mapping[str, Any]) -> str:
    found = rule["message"] or (f"{rule['failing']:,} rows" if rule["failing"] else "not met")
    return f"{rule['severity']}: {rule['name']}: {found}"


def _rows(step: Mapping[str, Any], *names: str) -> int:
    return sum(int(step["rows"].get(name, 0)) for name in names)
