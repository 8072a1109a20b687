"""The YAML language: models, loading with positions, errors. Imports neither Airflow nor Spark."""

from airflow_ingest.config.custom import CustomRule
from airflow_ingest.config.errors import ConfigError, IngestError, Mistake
from airflow_ingest.config.gold import Aggregate, Dates, Dimension, Gold, Over
from airflow_ingest.config.loader import load_pipeline, parse_gold, parse_pipeline, parse_table
from airflow_ingest.config.pipeline import CircuitBreaker, Pipeline, Retries, Spark
from airflow_ingest.config.reference import json_schema, reference_page
from airflow_ingest.config.rules import (
    AcceptedValuesRule,
    BatchRule,
    DriftRule,
    DuplicateRateRule,
    ExpectRule,
    FreshnessRule,
    NullRateRule,
    PatternRule,
    Quality,
    RangeRule,
    RelationshipsRule,
    RowCountRule,
    RowRule,
    Rule,
    SqlRule,
    UniqueRule,
)
from airflow_ingest.config.schedule import AssetSchedule, AssetSet
from airflow_ingest.config.sql import expression_problem
from airflow_ingest.config.table import Bronze, Column, DeltaTable, Extract, Jdbc, Silver, Source, Table
from airflow_ingest.config.templates import TemplateError, interval_variables, render
from airflow_ingest.config.values import format_duration, format_rate, parse_duration, parse_rate
from airflow_ingest.config.wait import SqlCondition, Wait

__all__ = [
    "AcceptedValuesRule",
    "Aggregate",
    "AssetSchedule",
    "AssetSet",
    "BatchRule",
    "Bronze",
    "CircuitBreaker",
    "Column",
    "ConfigError",
    "CustomRule",
    "Dates",
    "DeltaTable",
    "Dimension",
    "DriftRule",
    "DuplicateRateRule",
    "ExpectRule",
    "Extract",
    "FreshnessRule",
    "Gold",
    "IngestError",
    "Jdbc",
    "Mistake",
    "NullRateRule",
    "Over",
    "PatternRule",
    "Pipeline",
    "Quality",
    "RangeRule",
    "RelationshipsRule",
    "Retries",
    "RowCountRule",
    "RowRule",
    "Rule",
    "Silver",
    "Source",
    "Spark",
    "SqlCondition",
    "SqlRule",
    "Table",
    "TemplateError",
    "UniqueRule",
    "Wait",
    "expression_problem",
    "format_duration",
    "format_rate",
    "interval_variables",
    "json_schema",
    "load_pipeline",
    "parse_duration",
    "parse_gold",
    "parse_pipeline",
    "parse_rate",
    "parse_table",
    "reference_page",
    "render",
]
