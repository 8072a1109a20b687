"""The compiled graph: plain data that any front can run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import Enum
from functools import cached_property

GOLD_GROUP = "gold"
CHECK_CIRCUIT, RECORD_RUN, SEND_ALERTS = "check_circuit", "record_run", "send_alerts"
"""The tasks around the steps: what may stop a run before all of them, and what looks at it behind them."""
BEHIND = (RECORD_RUN, SEND_ALERTS)


class StepKind(str, Enum):
    """What a step does."""

    WAIT = "wait_for_source"
    INGEST = "ingest_bronze"
    PENDING = "has_pending_batches"
    GATE = "quality_gate"
    HOLD = "hold_batch"
    MERGE = "merge_silver"
    GOLD = "gold"
    PROFILE = "profile"


@dataclass(frozen=True)
class Step:
    """One unit of work: `target` is the table or gold table it works on, `upstream` the ids of the steps before it."""

    id: str
    kind: StepKind
    group: str
    target: str
    upstream: tuple[str, ...] = ()
    trigger_rule: str = "all_success"
    outlets: tuple[str, ...] = ()

    @property
    def published(self) -> str:
        """The table that its work leads to, with its layer: `silver.orders`, `gold.revenue`."""
        return f"{'gold' if self.group == GOLD_GROUP else 'silver'}.{self.target}"


@dataclass(frozen=True)
class PipelineGraph:
    """A pipeline's steps, each after those it depends on."""

    pipeline: str
    steps: tuple[Step, ...]

    @cached_property
    def _by_id(self) -> dict[str, Step]:
        return {step.id: step for step in self.steps}

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups' names, in the order of their first steps."""
        return tuple(dict.fromkeys(step.group for step in self.steps))

    def group(self, name: str) -> tuple[Step, ...]:
        """Return the steps of one group; none if there is no such group."""
        return tuple(step for step in self.steps if step.group == name)

    def step(self, id: str) -> Step:  # noqa: A002 - the step's own word
        """Return the step with this id. Raises KeyError if there is none."""
        return self._by_id[id]

    def to_json(self) -> str:
        """Return the graph as indented JSON."""
        return json.dumps({"pipeline": self.pipeline, "steps": [asdict(step) for step in self.steps]}, indent=2)
