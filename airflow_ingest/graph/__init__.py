"""config → PipelineGraph: plain data, no Airflow and no Spark."""

from airflow_ingest.graph.compiler import compile_graph, gold_reading
from airflow_ingest.graph.model import GOLD_GROUP, PipelineGraph, Step, StepKind

__all__ = ["GOLD_GROUP", "PipelineGraph", "Step", "StepKind", "compile_graph", "gold_reading"]
