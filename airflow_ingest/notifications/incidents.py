"""What of a run people have to be told: one incident for each kind of event, whatever number of tables it concerns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_ingest.notifications.alert import listed

if TYPE_CHECKING:
    from airflow_ingest.config.pipeline import Event
    from airflow_ingest.lakehouse import TableRecord

_BLOCKED_GOLD = "RulesBroken:"
_BLOCKED_BRONZE = "AirflowFailException:"
_UNWELL = ("failed", "held")


@dataclass(frozen=True)
class TableSeen:
    """What a run did with a table.

    - `record`: as it is written down; `failed`: its tasks that failed
    - `ingest`: what `ingest_bronze` returned, and `skipped` whether it was skipped; `gates`: the gate's outcomes
    - `chosen`: whether the run was for this table, among others; by hand it may be for a few
    - `rules`: how the rules of a gold table came out
    - `alert_reject_rate`: above which share of rejected rows people are told; `secretive`: whether errors of it are
      kept out of mails, since they might show values of its masked columns
    """

    record: TableRecord
    failed: Sequence[str] = ()
    ingest: Mapping[str, Any] | None = None
    skipped: bool = False
    chosen: bool = True
    gates: Sequence[Mapping[str, Any]] = ()
    rules: Sequence[Mapping[str, Any]] = ()
    alert_reject_rate: float = 1.0
    secretive: bool = False

    @property
    def name(self) -> str:
        """The table, as records name it."""
        return self.record.table

    @property
    def blocked(self) -> bool:
        """Whether its rules stopped it: a batch is held, or a gold table keeps its old version."""
        if self.record.status == "held":
            return True
        by_gate = self.record.error.startswith(_BLOCKED_BRONZE) and any(task.endswith("_gate") for task in self.failed)
        return self.record.status == "failed" and (by_gate or self.record.error.startswith(_BLOCKED_GOLD))

    @property
    def error(self) -> str:
        """What went wrong, as far as a mail may say."""
        error = " ".join(self.record.error.split())
        kind, _, _ = error.partition(":")
        shown = f"{kind}, see the task's log" if self.secretive and error else _short(error) or "see the task's log"
        tasks = f" in {listed(self.failed)}" if self.failed else ""
        tries = f" after {self.record.attempts} tries" if self.record.attempts > 1 else ""
        return f"{self.name}: failed{tasks}{tries}: {shown}"


@dataclass(frozen=True)
class RunSeen:
    """A run that is over but for its last task.

    - `failed`: its failed tasks that belong to no table
    - `before`, `after`: the circuit's state when it began and as it stands now (`Circuit.to_dict()`), as far as known
    - `unwell_before`: whether the run before, or this one before it was cleared, ended badly
    """

    tables: Sequence[TableSeen]
    failed: Sequence[str] = ()
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    unwell_before: bool = False
    takes_what_comes: bool = True

    @property
    def unwell(self) -> bool:
        """Whether it leaves something to put right; a run that the circuit breaker stopped leaves what was there."""
        if self.failed or any(table.record.status in _UNWELL for table in self.tables):
            return True
        return self.unwell_before and self.stopped

    @property
    def stopped(self) -> bool:
        """Whether the circuit breaker stopped it."""
        return any(table.record.status == "stopped" for table in self.tables)


@dataclass(frozen=True)
class Incident:
    """Something that people may want to be told: the `event`, in a few words, and what is known of it."""

    event: Event
    headline: str
    facts: tuple[str, ...]
    advice: str
    tables: tuple[str, ...] = field(default=())


def incidents(run: RunSeen) -> Iterator[Incident]:
    """What there is to tell of `run`, the gravest first."""
    yield from _failure(run)
    for event, (facts_of, headline, advice) in _OF_TABLES.items():
        facts = {table.name: found for table in run.tables if (found := facts_of(table, run))}
        if facts:
            told = tuple(fact for found in facts.values() for fact in found)
            yield Incident(event, headline.format(listed(facts, most=3)), told, advice, tuple(facts))
    yield from _circuit(run)
    if run.unwell_before and not run.unwell and not run.stopped:
        fact = "What failed or was held before is well now."
        yield Incident("recovered", "well again", (fact,), "")


def _failure(run: RunSeen) -> Iterator[Incident]:
    failed = [table for table in run.tables if table.record.status == "failed" and not table.blocked]
    if not failed and not run.failed:
        return
    left = [table.name for table in run.tables if table.record.status == "not run"]
    facts = [f"The task {task} failed, see its log." for task in run.failed] + [table.error for table in failed]
    facts += [f"Not run because of that: {listed(left)}."] if left else []
    names = [table.name for table in failed]
    headline = f"{listed(names or run.failed, most=3)} failed"
    advice = (
        "Open the run, read the log of what failed, put it right, and clear the failed tasks. What has landed in "
        "bronze is not lost: the retry or the next run takes it."
    )
    yield Incident("failure", headline, tuple(facts), advice, tuple(names))


def _circuit(run: RunSeen) -> Iterator[Incident]:
    before, after = run.before or {}, run.after or {}
    if before.get("state") == "closed" and after.get("state") == "open":
        facts = (f"{after.get('reason', '')}.", f"Runs are stopped until {after.get('next_trial')}, when one may try.")
        advice = "Put right what made the runs fail; airflow-ingest circuit FILE --reset lets runs go on before."
        yield Incident("circuit_open", "the circuit breaker has stopped the runs", facts, advice)


def _gate_error(table: TableSeen, run: RunSeen) -> list[str]:
    if not table.blocked:
        return []
    error = table.record.error.removeprefix(_BLOCKED_GOLD).removeprefix(_BLOCKED_BRONZE)
    return [f"{table.name}: {_short(' '.join(error.split()))}"]


def _gate_warning(table: TableSeen, run: RunSeen) -> list[str]:
    stale = {_told(rule) for rule in _rules(table) if _is_stale(rule)}
    told = [
        reason
        for gate in table.gates
        if gate["decision"] == "warn"
        for reason in gate["reasons"]
        if reason not in stale and not reason.startswith(f"{_reject_rate(gate):.2%} of the rows were rejected")
    ]
    told += [_told(rule) for rule in table.rules if _warns(rule) and not _is_stale(rule)]
    return [f"{table.name}: {reason}" for reason in dict.fromkeys(told)]


def _high_reject_rate(table: TableSeen, run: RunSeen) -> list[str]:
    return [
        f"{table.name}: {_reject_rate(gate):.2%} of the rows were rejected ({gate['rows']['rejected']} of "
        f"{gate['rows']['read']}), more than {table.alert_reject_rate:.2%}"
        for gate in table.gates
        if gate["decision"] != "block" and _reject_rate(gate) > table.alert_reject_rate
    ]


def _stale(table: TableSeen, run: RunSeen) -> list[str]:
    return [f"{table.name}: {rule['message']}" for rule in _rules(table) if _is_stale(rule)]


def _no_data(table: TableSeen, run: RunSeen) -> list[str]:
    if table.record.status not in ("loaded", "unchanged", "skipped"):
        return []
    if table.ingest is None:
        return [f"{table.name}: there was nothing new to load"] if _came_for_nothing(table, run) else []
    if table.ingest["rows"]["read"] or not (table.ingest.get("batch") or run.takes_what_comes):
        return []
    return [f"{table.name}: {table.ingest.get('reason') or 'the source had no rows'}"]


def _came_for_nothing(table: TableSeen, run: RunSeen) -> bool:
    """Whether it was asked for what there is, and there was nothing; a backfill is refused for other reasons."""
    return table.skipped and table.chosen and run.takes_what_comes


_ON_BLOCKED = (
    "Look at the quality report. Then correct the source and clear the run, or release or discard a held batch in the "
    "DAG ingest_held_batches. Until then silver and gold keep what they had."
)
_OF_TABLES: Mapping[Event, tuple[Callable[[TableSeen, RunSeen], list[str]], str, str]] = {
    "gate_error": (
        _gate_error,
        "the quality gate has blocked {}",
        _ON_BLOCKED,
    ),
    "high_reject_rate": (
        _high_reject_rate,
        "many rows of {} were rejected",
        "The rows are in the dead-letter table: airflow-ingest dlq shows them, ingest_dlq_replay takes them in again.",
    ),
    "stale": (_stale, "{} is stale", "Ask where the data comes from why nothing newer has come."),
    "gate_warning": (_gate_warning, "warnings of the quality gate for {}", "Nothing was held back."),
    "no_data": (_no_data, "no data for {}", "If there should have been some, look at the source."),
}


def _rules(table: TableSeen) -> Iterator[Mapping[str, Any]]:
    yield from (rule for gate in table.gates if gate["decision"] == "warn" for rule in gate["rules"])
    yield from table.rules


def _warns(rule: Mapping[str, Any]) -> bool:
    return rule["severity"] == "warning" and not rule["passed"]


def _is_stale(rule: Mapping[str, Any]) -> bool:
    return rule["kind"] == "freshness" and _warns(rule)


def _told(rule: Mapping[str, Any]) -> str:
    return f"rule {rule['name']}: {rule['message']}"


def _reject_rate(gate: Mapping[str, Any]) -> float:
    return gate["rows"]["rejected"] / gate["rows"]["read"] if gate["rows"]["read"] else 0.0


def _short(text: str, most: int = 500) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
