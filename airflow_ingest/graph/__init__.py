"""config → PipelineGraph: plain data, no Airflow and no Spark."""

from airflow_ingest.graph.compiler import GOLD_GROUP, compile_graph
from airflow_ingest.graph.model import PipelineGraph, Step, StepKind

__all__ = ["GOLD_GROUP", "PipelineGraph", "Step", "StepKind", "compile_graph"]
