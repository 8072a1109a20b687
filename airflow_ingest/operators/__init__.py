"""Operators for the steps of a lakehouse pipeline; each can be used by hand in any DAG."""

from airflow_ingest.operators.alerts import SendAlertsOperator
from airflow_ingest.operators.bronze import BronzeIngestOperator
from airflow_ingest.operators.by_hand import DecideHeldOperator, ReplayLettersOperator
from airflow_ingest.operators.dlq import DlqReplayOperator
from airflow_ingest.operators.gate import HoldBatchOperator, PendingBatchesOperator, QualityGateOperator
from airflow_ingest.operators.gold import GoldAggregateOperator
from airflow_ingest.operators.maintenance import MaintenanceOperator
from airflow_ingest.operators.profile import ProfileOperator
from airflow_ingest.operators.runs import CheckCircuitOperator, RecordRunOperator
from airflow_ingest.operators.silver import SilverMergeOperator

__all__ = [
    "BronzeIngestOperator",
    "CheckCircuitOperator",
    "DecideHeldOperator",
    "DlqReplayOperator",
    "GoldAggregateOperator",
    "HoldBatchOperator",
    "MaintenanceOperator",
    "PendingBatchesOperator",
    "ProfileOperator",
    "QualityGateOperator",
    "RecordRunOperator",
    "ReplayLettersOperator",
    "SendAlertsOperator",
    "SilverMergeOperator",
]
