"""What happens to data: sources, bronze, silver, gold, quality and dead letters, on Spark and Delta alone.

Everything here runs over Spark Connect and knows nothing of Airflow. The names load on first use, so that reading a
pipeline's graph does not import Spark.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.errors import (
    ConflictError,
    LakehouseError,
    ReconciliationError,
    RulesBroken,
    SchemaMismatch,
    SourceNotFound,
    SourceUnreadable,
    TableOwnedByOther,
    TransformError,
)
from airflow_ingest.lakehouse.lake import Lake

if TYPE_CHECKING:
    from airflow_ingest.lakehouse.batches import decide_held, hold_batch
    from airflow_ingest.lakehouse.bronze import ingest_bronze
    from airflow_ingest.lakehouse.circuit import (
        Circuit,
        describe_circuit,
        pass_circuit,
        read_circuit,
        reset_circuit,
    )
    from airflow_ingest.lakehouse.failures import FailedLoad, failed_loads, record_failure
    from airflow_ingest.lakehouse.gold.refresh import refresh_gold
    from airflow_ingest.lakehouse.letters import (
        Letter,
        Letters,
        LettersByRule,
        count_letters,
        dead_letters_of,
        discard_letters,
        ids_of,
        letters_by_rule,
    )
    from airflow_ingest.lakehouse.maintenance.results import Maintained
    from airflow_ingest.lakehouse.maintenance.retention import check_retention
    from airflow_ingest.lakehouse.maintenance.run import maintain_table
    from airflow_ingest.lakehouse.maintenance.targets import Target, targets_of
    from airflow_ingest.lakehouse.model import (
        Batch,
        GateOutcome,
        Interval,
        LoadResult,
        ReplayResult,
        RowCounts,
        RunInfo,
    )
    from airflow_ingest.lakehouse.plan import plan_gold, plan_table
    from airflow_ingest.lakehouse.planned import GoldPlan, TablePlan
    from airflow_ingest.lakehouse.profile import profile_table
    from airflow_ingest.lakehouse.profile_book import ColumnProfile, TableProfile, profile_before
    from airflow_ingest.lakehouse.profile_changes import ColumnChange, ProfileChange, changes_since
    from airflow_ingest.lakehouse.quality.gate import quality_gate
    from airflow_ingest.lakehouse.releases import release_batch
    from airflow_ingest.lakehouse.replay import check_replayable, replay_dlq
    from airflow_ingest.lakehouse.restore import RestorePlan, plan_restore, restore_table
    from airflow_ingest.lakehouse.runs import TableRecord, record_runs, run_history
    from airflow_ingest.lakehouse.silver.merge import merge_silver
    from airflow_ingest.lakehouse.sources.database import Database
    from airflow_ingest.lakehouse.standing import Standing, standings
    from airflow_ingest.lakehouse.status import GoldStatus, TableStatus, gold_status, table_status

__all__ = [
    "Batch",
    "Circuit",
    "ColumnChange",
    "ColumnProfile",
    "ConflictError",
    "Database",
    "FailedLoad",
    "GateOutcome",
    "GoldPlan",
    "GoldStatus",
    "Interval",
    "Lake",
    "LakehouseError",
    "Letter",
    "Letters",
    "LettersByRule",
    "LoadResult",
    "Maintained",
    "ProfileChange",
    "ReconciliationError",
    "ReplayResult",
    "RestorePlan",
    "RowCounts",
    "RulesBroken",
    "RunInfo",
    "SchemaMismatch",
    "SourceNotFound",
    "SourceUnreadable",
    "Standing",
    "TableOwnedByOther",
    "TablePlan",
    "TableProfile",
    "TableRecord",
    "TableStatus",
    "Target",
    "TransformError",
    "changes_since",
    "check_replayable",
    "check_retention",
    "count_letters",
    "dead_letters_of",
    "decide_held",
    "describe_circuit",
    "discard_letters",
    "failed_loads",
    "gold_status",
    "hold_batch",
    "ids_of",
    "ingest_bronze",
    "letters_by_rule",
    "maintain_table",
    "merge_silver",
    "pass_circuit",
    "plan_gold",
    "plan_restore",
    "plan_table",
    "profile_before",
    "profile_table",
    "quality_gate",
    "read_circuit",
    "record_failure",
    "record_runs",
    "refresh_gold",
    "release_batch",
    "replay_dlq",
    "reset_circuit",
    "restore_table",
    "run_history",
    "standings",
    "table_status",
    "targets_of",
]

_HOME = {
    **dict.fromkeys(
        ("Batch", "GateOutcome", "Interval", "LoadResult", "ReplayResult", "RowCounts", "RunInfo"), "model"
    ),
    **dict.fromkeys(("FailedLoad", "failed_loads", "record_failure"), "failures"),
    **dict.fromkeys(("Circuit", "describe_circuit", "pass_circuit", "read_circuit", "reset_circuit"), "circuit"),
    "Database": "sources.database",
    **dict.fromkeys(("GoldPlan", "TablePlan"), "planned"),
    **dict.fromkeys(("ColumnProfile", "TableProfile", "profile_before"), "profile_book"),
    **dict.fromkeys(("ColumnChange", "ProfileChange", "changes_since"), "profile_changes"),
    **dict.fromkeys(("GoldStatus", "TableStatus", "gold_status", "table_status"), "status"),
    "decide_held": "batches",
    "hold_batch": "batches",
    "ingest_bronze": "bronze",
    **dict.fromkeys(
        (
            "Letter",
            "Letters",
            "LettersByRule",
            "count_letters",
            "dead_letters_of",
            "discard_letters",
            "ids_of",
            "letters_by_rule",
        ),
        "letters",
    ),
    "Maintained": "maintenance.results",
    "maintain_table": "maintenance.run",
    "check_retention": "maintenance.retention",
    **dict.fromkeys(("Target", "targets_of"), "maintenance.targets"),
    **dict.fromkeys(("RestorePlan", "plan_restore", "restore_table"), "restore"),
    "merge_silver": "silver.merge",
    "plan_gold": "plan",
    "plan_table": "plan",
    "profile_table": "profile",
    "quality_gate": "quality.gate",
    "refresh_gold": "gold.refresh",
    "release_batch": "releases",
    **dict.fromkeys(("TableRecord", "record_runs", "run_history"), "runs"),
    **dict.fromkeys(("check_replayable", "replay_dlq"), "replay"),
    **dict.fromkeys(("Standing", "standings"), "standing"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
