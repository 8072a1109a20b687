"""The book of rule outcomes: one row per rule, batch and run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from typing_extensions import Self

from airflow_ingest.config import DriftRule, Rule
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.model import Decision, GateOutcome, RuleResult, RunInfo
from airflow_ingest.lakehouse.ops import append_rows, looking_back, newest, read_book

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

BOOK = "quality_results"
COLUMNS = (
    "pipeline string, table string, batch_id string, generation bigint, run_id string, rule string, kind string, "
    "severity string, passed boolean, failing bigint, value double, threshold string, message string, "
    "sample array<string>, seconds double, "
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


def past_values(
    spark: SparkSession, lake: Lake, table: str, rules: Iterable[Rule], own: str
) -> Mapping[str, Sequence[float]]:
    """What those of `rules` that look back found in earlier batches of `table`, by the rule's name, the newest first.

    `own` is the id of the batch that is being judged (of the run, for a gold table). What was held back is left out.
    """
    runs = {rule.name: rule.drift.runs for rule in rules if isinstance(rule, DriftRule)}
    book = read_book(spark, lake, BOOK, table) if runs else None
    if book is None:
        return {}
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    def newest_values(book: DataFrame) -> dict[str, list[float]]:
        lately = Window.partitionBy("rule").orderBy(F.col("at").desc(), "batch")
        rows = (
            newest(by_batch(book.where(F.col("rule").isin(*runs))), "rule", "batch")
            .where((F.col("batch") != own) & (F.col("decision") != "block") & F.col("value").isNotNull())
            .withColumn("nth", F.row_number().over(lately))
            .where(F.col("nth") <= max(runs.values()))
            .select("rule", "nth", "value")
        )
        found: dict[str, list[float]] = defaultdict(list)
        for rule, _, value in sorted(rows.collect()):
            found[rule].append(value)
        return found

    def enough(found: dict[str, list[float]], _: datetime) -> bool:
        return all(len(found[rule]) >= wanted for rule, wanted in runs.items())

    return looking_back(book, newest_values, enough)


def by_batch(book: DataFrame) -> DataFrame:
    """The book's rows with what was judged in `batch`: the batch's id, or the run's where there is no batch."""
    from pyspark.sql import functions as F

    batch = F.when(F.col("batch_id") == "", F.col("run_id")).otherwise(F.col("batch_id"))
    return book.withColumn("batch", batch)


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
    told = ("kind", "severity", "passed", "failing", "value", "threshold", "message", "sample", "seconds")
    append_rows(
        spark,
        lake.ops(BOOK),
        COLUMNS,
        [{**shared, "rule": rule.name, **{key: getattr(rule, key) for key in told}} for rule in judgement.rules],
        run.run_id,
    )
