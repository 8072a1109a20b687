"""The book of rule outcomes: one row per rule, batch and run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import Self

from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Decision, GateOutcome, RuleResult, RunInfo
from airflow_ingest.lakehouse.ops import append_rows

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

COLUMNS = (
    "pipeline string, table string, batch_id string, generation bigint, run_id string, rule string, kind string, "
    "severity string, passed boolean, failing bigint, value double, threshold string, message string, "
    "rows_read bigint, rows_rejected bigint, decision string"
)


@dataclass(frozen=True)
class Judgement:
    """The outcome of all rules of a table on one batch; a gold table (`gold.<name>`) has no batch."""

    table: str
    batch_id: str
    generation: int
    rules: tuple[RuleResult, ...]
    decision: Decision
    rows_read: int | None = None
    rows_rejected: int | None = None

    @property
    def broken(self) -> list[str]:
        """The rules of severity error that do not hold, each with what was found."""
        failed = (rule for rule in self.rules if not rule.passed and rule.severity == "error")
        return [f"{rule.name}: {rule.message}" for rule in failed]

    @classmethod
    def of(cls, gate: GateOutcome) -> Self:
        """What the gate found, as it is written down."""
        batch, rows = gate.batch, gate.rows
        return cls(gate.table, batch.id, batch.generation, gate.rules, gate.decision, rows.read, rows.rejected)


def record(spark: SparkSession, lake: Lake, run: RunInfo, judgement: Judgement) -> None:
    """Appends every rule's outcome to `ops/quality_results`."""
    shared = {
        "pipeline": lake.pipeline,
        "table": judgement.table,
        "batch_id": judgement.batch_id,
        "generation": judgement.generation,
        "run_id": run.run_id,
        "rows_read": judgement.rows_read,
        "rows_rejected": judgement.rows_rejected,
        "decision": judgement.decision,
    }
    told = ("kind", "severity", "passed", "failing", "value", "threshold", "message")
    append_rows(
        spark,
        lake.ops("quality_results"),
        COLUMNS,
        [{**shared, "rule": rule.name, **{key: getattr(rule, key) for key in told}} for rule in judgement.rules],
        run.run_id,
    )
