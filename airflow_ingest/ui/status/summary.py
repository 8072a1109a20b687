"""What the page says of pipelines and tables, worked out from the facts; nothing here asks a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_ingest.graph import GOLD_GROUP
from airflow_ingest.ui.status.facts import Facts, Told
from airflow_ingest.ui.status.forms import Done, Forms
from airflow_ingest.ui.status.sla import Promise, Promises

GOOD, IDLE, WARN, BAD = 0, 1, 2, 3
"""How loudly something is said."""
_LEVELS = {"failed": BAD, "held": BAD, "not run": WARN, "stopped": WARN, "loaded": GOOD, "unchanged": GOOD}
_SEVERITIES = ("info", "warning", "error")
NEVER = "never ran"


@dataclass(frozen=True)
class Point:
    """A table in one run, for the charts: its rows, the share that was rejected, and whether it went wrong."""

    rows: int
    rate: float
    bad: bool


@dataclass(frozen=True)
class Count:
    """A number of things to be dealt with, as it was `at` a time; None if no run has told it yet."""

    number: int | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Quality:
    """How the rules came out on the newest batch: so many of them `broken`, the `worst` first; `at` when."""

    rules: int
    broken: int
    worst: str
    level: int
    at: datetime


@dataclass(frozen=True)
class TableView:
    """A table on the page. `points` are its last runs, the oldest first; `loaded` is when it was last brought up to
    date; `why` says what went wrong."""

    pipeline: str
    name: str
    status: str
    level: int
    why: str = ""
    loaded: datetime | None = None
    promise: Promise = field(default_factory=Promise)
    points: tuple[Point, ...] = ()
    letters: Count = field(default_factory=Count)
    held: Count = field(default_factory=Count)
    quality: Quality | None = None
    watermark: str | None = None

    @property
    def is_gold(self) -> bool:
        return self.name.startswith(f"{GOLD_GROUP}.")

    @property
    def urgency(self) -> int:
        """The loudest of what it says."""
        waiting = BAD if self.held.number else WARN if self.letters.number else GOOD
        found = self.quality.level if self.quality else GOOD
        return max(self.level if self.level != IDLE else GOOD, self.promise.level, waiting, found)


@dataclass(frozen=True)
class PipelineView:
    """A pipeline on the page; `circuit` is empty without a circuit breaker."""

    pipeline: str
    paused: bool
    backfills: bool
    status: str
    level: int
    ended: datetime | None
    circuit: str
    circuit_level: int
    circuit_why: str
    promise: Promise
    tables: tuple[TableView, ...]
    replay: str | None = None
    held: str | None = None

    @property
    def urgency(self) -> int:
        """The loudest of what it and its tables say."""
        return max([self.level, self.circuit_level, self.promise.level, *(table.urgency for table in self.tables)])


def summary_of(found: Sequence[Facts], forms: Forms, now: datetime) -> list[PipelineView]:
    """The pipelines with their tables, as they stand `now`."""
    return [_pipeline(facts, forms, now) for facts in found]


def _pipeline(facts: Facts, forms: Forms, now: datetime) -> PipelineView:
    newest = facts.runs[0] if facts.runs else None
    status = newest.state if newest else NEVER
    told = facts.records[0].value.get("circuit") if facts.records else None
    promises, lost = Promises(facts, now), _lost(facts)
    return PipelineView(
        pipeline=facts.pipeline,
        paused=facts.paused,
        backfills=facts.backfills,
        status=status,
        level={"failed": BAD, "success": GOOD}.get(status, IDLE),
        ended=newest.ended if newest else None,
        circuit=told["state"] if told else "",
        circuit_level={"open": BAD, "half-open": WARN}.get(told["state"], GOOD) if told else GOOD,
        circuit_why=told["reason"] if told else "",
        promise=promises.of(None),
        tables=tuple(
            _table(facts, name, promises.of(name), forms.done.get(f"{facts.pipeline}.{name}", ()), lost)
            for name in facts.tables
        ),
        replay=forms.serving(forms.replay, facts.file),
        held=forms.serving(forms.held, facts.file),
    )


def _lost(facts: Facts) -> str:
    """What to say where the newest run that is over failed and nothing was recorded of it; else empty."""
    newest = next((run for run in facts.runs if run.state in ("success", "failed")), None)
    if newest is None or newest.state == "success" or newest.run_id in {told.run_id for told in facts.records}:
        return ""
    return f"The run {newest.run_id} failed, and could not record what it did with its tables."


def _table(facts: Facts, name: str, promise: Promise, done: Sequence[Done], lost: str) -> TableView:
    records = [(told.at, found) for told in facts.records if (found := told.value["tables"].get(name))]
    newest = records[0][1] if records else {}
    status = "failed" if lost else newest.get("status", NEVER)
    judged = facts.judged.get(name)
    loads = [found["ended"] for _, found in records if found["status"] in ("loaded", "unchanged")]
    watermark = next((found["watermark"] for _, found in records if found.get("watermark") is not None), None)
    return TableView(
        pipeline=facts.pipeline,
        name=name,
        status=status,
        level=_LEVELS.get(status, IDLE),
        why=lost or newest.get("error", ""),
        loaded=datetime.fromisoformat(loads[0]) if loads else None,
        promise=promise,
        points=tuple(_point(found) for _, found in reversed(records)),
        letters=_left(records, "open_letters", [(one.at, one.replayed) for one in done]),
        held=_left(records, "held", [(one.at, one.decided) for one in done]),
        quality=_quality(judged) if judged else None,
        watermark=None if watermark is None else str(watermark),
    )


def _point(record: Mapping[str, Any]) -> Point:
    rows = record["rows"]
    written = rows["inserted"] + rows["updated"] + rows["deleted"]
    rate = rows["rejected"] / rows["read"] if rows["read"] else 0.0
    return Point(rows["read"] or written, rate, record["status"] in ("failed", "held"))


def _left(
    records: Sequence[tuple[datetime, Mapping[str, Any]]], what: str, done: Sequence[tuple[datetime, int]]
) -> Count:
    """What the newest record that counts them says, less what was `done` from a form since."""
    told = next(((at, found[what]) for at, found in records if found.get(what) is not None), None)
    if told is None:
        return Count()
    since = [(at, number) for at, number in done if at > told[0] and number]
    return Count(max(told[1] - sum(number for _, number in since), 0), max([told[0], *(at for at, _ in since)]))


def _quality(told: Told) -> Quality | None:
    """Of the last batch that was judged; a gold table's rules are in what its task returned.

    Rows that break a rule are dead letters, and the batch goes on: only one that was blocked is bad.
    """
    value = told.value[-1] if isinstance(told.value, list) and told.value else told.value
    rules = value.get("rules") if isinstance(value, dict) else None
    if not rules:
        return None
    broken = sorted((rule for rule in rules if not rule["passed"]), key=_weight, reverse=True)
    worst = broken[0] if broken else None
    return Quality(
        rules=len(rules),
        broken=len(broken),
        worst=worst["name"] if worst else "",
        level=BAD if value.get("decision") == "block" else _loudness(worst),
        at=told.at,
    )


def _loudness(worst: Mapping[str, Any] | None) -> int:
    return GOOD if worst is None else IDLE if worst["severity"] == "info" else WARN


def _weight(rule: Mapping[str, Any]) -> tuple[int, int]:
    return _SEVERITIES.index(rule["severity"]), rule.get("failing") or 0
