"""The metrics of loads: their names, and what is measured when. They leave through Airflow's own stats.

Airflow sends them where `[metrics]` in its configuration says: to StatsD or to OpenTelemetry, or nowhere. A metric that
cannot be sent never fails a task.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from airflow_ingest.lakehouse import GateOutcome, LoadResult, ReplayResult
    from airflow_ingest.lakehouse.model import RuleResult

log = logging.getLogger(__name__)

_TABLE = ("pipeline", "table", "layer")
WHOLE = "-"
"""In the place of a table's name: the pipeline as a whole."""


@dataclass(frozen=True)
class Metric:
    """A counter that goes up by what is sent, or a gauge that keeps it; `tags` are those that each of its values has.

    Airflow puts its own prefix, `airflow`, before `name`.
    """

    name: str
    kind: Literal["counter", "gauge"]
    tags: tuple[str, ...]
    meaning: str

    @property
    def in_prometheus(self) -> str:
        """Its name there, by way of OpenTelemetry's collector or of `deploy/statsd-exporter/mapping.yaml`."""
        return f"airflow_{self.name.replace('.', '_')}{'_total' if self.kind == 'counter' else ''}"

    def send(self, value: float, **tags: str) -> None:
        """Send `value`, with exactly `tags` of these names."""
        assert sorted(tags) == sorted(self.tags), f"{self.name} has the tags {self.tags}"
        from airflow.sdk.observability import stats

        try:
            clean = {name: stats.normalize_name_for_stats(tag, log_warning=False) for name, tag in tags.items()}
            if self.kind == "counter":
                stats.incr(self.name, int(value), tags=clean)
            else:
                stats.gauge(self.name, value, tags=clean)
        except Exception as error:
            log.warning("The metric %s could not be sent: %s", self.name, error)


LOADS = Metric(
    "ingest.loads",
    "counter",
    (*_TABLE, "status"),
    "Loads of a table by how they ended: `loaded`, `unchanged`, `skipped`, `held` (the gate blocked the batch) or "
    "`failed` (given up: no try follows)",
)
ROWS = Metric(
    "ingest.rows",
    "counter",
    (*_TABLE, "outcome"),
    "Rows by what became of them: `read`, and of these `inserted`, `updated`, `deleted`, `unchanged`, `superseded`, "
    "`rejected`, `filtered` and `deduplicated`; beside them `retracted`, and `replayed` from the dead letters",
)
BYTES = Metric("ingest.bytes", "counter", _TABLE, "Bytes of the files that loads added to the table, as Delta tells")
SECONDS = Metric("ingest.load_seconds", "gauge", _TABLE, "What the last load took, in seconds")
LOADED_AT = Metric(
    "ingest.load_timestamp_seconds", "gauge", _TABLE, "When the table was last brought up to date, in Unix time"
)
FRESHNESS = Metric(
    "ingest.freshness_timestamp_seconds",
    "gauge",
    _TABLE,
    "Up to when the table has data: the end of its newest interval, or its watermark, in Unix time. Silver and bronze "
    "alone, and not of tables that are loaded in full without an interval",
)
REJECT_RATE = Metric(
    "ingest.reject_rate", "gauge", _TABLE, "The share of the last batch's rows that the gate rejected, from 0 to 1"
)
BROKEN_RULES = Metric(
    "ingest.broken_rules", "counter", (*_TABLE, "severity"), "Quality rules that did not hold, by severity"
)
DEADLINES_MISSED = Metric(
    "ingest.deadlines_missed",
    "counter",
    ("pipeline", "table"),
    f"Deadlines (`sla`) that were missed; `table` is `{WHOLE}` for the pipeline's own",
)
METRICS = (LOADS, ROWS, BYTES, SECONDS, LOADED_AT, FRESHNESS, REJECT_RATE, BROKEN_RULES, DEADLINES_MISSED)


def load_done(pipeline: str, layer: str, result: LoadResult) -> None:
    """Measure a load that went well."""
    table = {"pipeline": pipeline, "table": result.table, "layer": layer}
    LOADS.send(1, **table, status=result.status)
    for outcome, count in result.rows.to_dict().items():
        if count:
            ROWS.send(count, **table, outcome=outcome)
    if result.status == "skipped":
        return
    if result.bytes_written is not None and result.status == "loaded":
        BYTES.send(result.bytes_written, **table)
    SECONDS.send(round(result.seconds, 3), **table)
    LOADED_AT.send(int(datetime.now(timezone.utc).timestamp()), **table)
    if result.up_to is not None:
        FRESHNESS.send(int(result.up_to.timestamp()), **table)
    rules_judged(pipeline, result.table, layer, result.rules)


def batch_judged(pipeline: str, layer: str, outcome: GateOutcome) -> None:
    """Measure what the gate found in a batch."""
    table = {"pipeline": pipeline, "table": outcome.table, "layer": layer}
    REJECT_RATE.send(round(outcome.rows.reject_rate, 6), **table)
    if outcome.decision == "block":
        LOADS.send(1, **table, status="held")
    rules_judged(pipeline, outcome.table, layer, outcome.rules)


def letters_replayed(pipeline: str, result: ReplayResult) -> None:
    """Count the dead letters that have come to silver after all."""
    if result.replayed and not result.dry_run:
        ROWS.send(result.replayed, pipeline=pipeline, table=result.table, layer="silver", outcome="replayed")


def rules_judged(pipeline: str, table: str, layer: str, rules: Iterable[RuleResult]) -> None:
    """Count those of `rules` that did not hold."""
    for rule in rules:
        if not rule.passed:
            BROKEN_RULES.send(1, pipeline=pipeline, table=table, layer=layer, severity=rule.severity)


def load_failed(pipeline: str, table: str, layer: str) -> None:
    """Count a load that is given up."""
    LOADS.send(1, pipeline=pipeline, table=table, layer=layer, status="failed")


def deadline_missed(pipeline: str, table: str | None = None) -> None:
    """Count a deadline that was missed: the pipeline's own, or with `table` that table's."""
    DEADLINES_MISSED.send(1, pipeline=pipeline, table=table or WHOLE)
