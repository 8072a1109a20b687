"""A rule's outcomes, batch after batch, as plain values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime

from airflow_ingest.config.values import parse_duration
from airflow_ingest.lakehouse.model import GateOutcome, Value


class RulePoint(Value):
    """How a rule came out on one batch (in one run, for gold)."""

    at: AwareDatetime
    run_id: str
    batch_id: str = ""
    passed: bool
    failing: int = 0
    value: float | None = None
    rows_read: int | None = None
    threshold: str = ""
    message: str = ""
    sample: tuple[str, ...] = ()

    @property
    def measure(self) -> float | None:
        """What a chart shows: the value that a batch rule found; of a rule on rows the share that breaks it."""
        if self.value is not None:
            return self.value
        return self.failing / self.rows_read if self.rows_read else None

    @property
    def bounds(self) -> tuple[float, ...]:
        """The least and the greatest that `measure` may be, as far as the rule says so in numbers."""
        if self.value is None:
            return () if self.threshold else (0.0,)
        found = (_number(part) for part in self.threshold.split(".."))
        return tuple(bound for bound in found if bound is not None)


class RuleHistory(Value):
    """A rule of a table (`orders`, `gold.revenue`) and how it came out, the oldest batch first; never empty."""

    table: str
    rule: str
    kind: str
    severity: str
    points: tuple[RulePoint, ...]

    @property
    def last(self) -> RulePoint:
        """How it came out on the newest batch."""
        return self.points[-1]


def _number(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    with suppress(ValueError):
        return parse_duration(text).total_seconds()
    return None


def trend_of_gates(outcomes: Iterable[tuple[datetime, str, Mapping[str, Any]]]) -> tuple[RuleHistory, ...]:
    """The histories of the rules in what gates returned: when, in which run, and the `GateOutcome.to_dict()`.

    Of a batch that was judged several times the last time counts; the newest outcome says which rules there are.
    """
    gates = sorted(
        ((at, run_id, GateOutcome.from_dict(told)) for at, run_id, told in outcomes), key=lambda gate: gate[0]
    )
    found: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for at, run_id, gate in gates:
        for rule in gate.rules:
            told = {"at": at, "run_id": run_id, "batch_id": gate.batch.id, "rows_read": gate.rows.read}
            points = found[rule.name]
            points.pop(gate.batch.id, None)
            points[gate.batch.id] = {**rule.to_dict(), **told}
    if not gates:
        return ()
    last = gates[-1][2]
    return tuple(
        RuleHistory.from_dict(
            {**rule.to_dict(), "table": last.table, "rule": rule.name, "points": tuple(found[rule.name].values())}
        )
        for rule in last.rules
    )
