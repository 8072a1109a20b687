"""PipelineGraph → DAG."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Asset, BaseOperator, TaskGroup, XComArg

from airflow_ingest._context import IntervalTemplates
from airflow_ingest.factory.alerts import send_alerts, tell_of_failed_run
from airflow_ingest.factory.arguments import airflow_arguments
from airflow_ingest.factory.deadlines import deadlines
from airflow_ingest.factory.docs import describe_pipeline
from airflow_ingest.factory.form import form
from airflow_ingest.factory.schedule import timetable
from airflow_ingest.factory.waiting import sensor
from airflow_ingest.graph import GOLD_GROUP, StepKind
from airflow_ingest.graph.model import CHECK_CIRCUIT, RECORD_RUN
from airflow_ingest.operators import (
    BronzeIngestOperator,
    CheckCircuitOperator,
    GoldAggregateOperator,
    HoldBatchOperator,
    PendingBatchesOperator,
    ProfileOperator,
    QualityGateOperator,
    RecordRunOperator,
    SilverMergeOperator,
)
from airflow_ingest.operators._spec import Spec

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline
    from airflow_ingest.graph import PipelineGraph, Step


def build_dag(graph: PipelineGraph, pipeline: Pipeline, *, file: str | None = None) -> DAG:
    """Build the DAG that runs `graph`: a TaskGroup per table and one for gold, the tables as assets.

    `file` is where the pipeline was read from, for messages. Raises ConfigError for an argument under `dag` or `task`
    that Airflow does not take.
    """
    file = file or f"{pipeline.pipeline}.yaml"
    for_dag, for_tasks = airflow_arguments(pipeline, file)
    dag = DAG(
        pipeline.pipeline,
        description=pipeline.description or None,
        schedule=timetable(pipeline),
        start_date=pipeline.start_date,
        catchup=pipeline.catchup,
        max_active_runs=pipeline.max_active_runs,
        tags=pipeline.tags,
        deadline=deadlines(pipeline) or None,
        on_failure_callback=tell_of_failed_run(pipeline),
        **{
            "doc_md": describe_pipeline(pipeline),
            **for_dag,
            "params": form(pipeline, for_dag.get("params") or {}, file),
        },
    )
    builder = _Builder(graph, pipeline, dag, {**_retries(pipeline), "owner": pipeline.owner, **for_tasks})
    for step in graph.steps:
        builder.add(step)
    builder.enclose()
    return dag


def _retries(pipeline: Pipeline) -> dict[str, Any]:
    """`attempts` counts the first try too."""
    retries = pipeline.retries
    return {
        "retries": retries.attempts - 1,
        "retry_delay": retries.delay,
        "max_retry_delay": retries.max_delay,
        "retry_exponential_backoff": 2.0,
    }


class _Builder:
    def __init__(self, graph: PipelineGraph, pipeline: Pipeline, dag: DAG, common: dict[str, Any]) -> None:
        self.graph = graph
        self.pipeline = pipeline
        self.dag = dag
        self.common = common
        self.groups = {name: TaskGroup(name, dag=dag, parent_group=dag.task_group) for name in graph.groups}
        self.tasks: dict[str, BaseOperator] = {}
        self.outputs: dict[str, XComArg] = {}
        self.tables = {name: Spec(table, compact=True) for name, table in pipeline.tables.items()}

    def add(self, step: Step) -> None:
        """Add a step's task, below the tasks that the step stands below."""
        task: Any = self._task(step)
        task.chosen_as = "" if step.group == GOLD_GROUP else step.group
        self.tasks[step.id] = task
        above = [self.tasks[name] for name in step.upstream if name not in task.upstream_task_ids]
        if above:
            task.set_upstream(above)

    def enclose(self) -> None:
        """Put what may stop a run before all tasks, and what writes down how it went behind them."""
        first, every = self.dag.roots, self.dag.tasks
        common = {**self.common, **self._lake(), "dag": self.dag}
        breaker = self.pipeline.circuit_breaker
        record = RecordRunOperator(
            task_id=RECORD_RUN,
            tables=list(self.pipeline.tables),
            gold=list(self.pipeline.gold),
            breaker=breaker,
            **common,
        )
        record.set_upstream(list(every))  # the leaves alone are over too soon: where a table failed, gold does not wait
        record.as_teardown()
        record.chosen_as = ""
        if self.pipeline.alerts is not None:
            send_alerts(self.pipeline, self.common, record)
        if breaker is not None:
            check = CheckCircuitOperator(task_id=CHECK_CIRCUIT, breaker=breaker, **common)
            check.chosen_as = ""
            check.set_downstream(list(first))

    def _task(self, step: Step) -> BaseOperator:
        build = _TASKS[step.kind]
        arguments = {
            **self.common,
            "task_id": step.id.removeprefix(f"{step.group}."),
            "dag": self.dag,
            "task_group": self.groups[step.group],
            "trigger_rule": step.trigger_rule,
        }
        if step.outlets:
            arguments["outlets"] = [Asset(name) for name in step.outlets]
        return build(self, step, arguments)

    def _wait(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        waiting = sensor(self.pipeline, step.target, **arguments)
        if isinstance(waiting, IntervalTemplates):
            waiting.table = step.target
        return waiting

    def _ingest(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        files = self.pipeline.tables[step.target].source.files
        return BronzeIngestOperator(files=files, **self._on_table(step), **arguments)

    def _pending(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        return PendingBatchesOperator(batches=self._output(step), **arguments)

    def _gate(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        below = {other.kind: other.id for other in self.graph.group(step.group) if step.id in other.upstream}
        arguments.update(publish_task_id=below.get(StepKind.MERGE), hold_task_id=below.get(StepKind.HOLD))
        return QualityGateOperator(batches=self._output(step), **self._on_table(step), **arguments)

    def _hold(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        return HoldBatchOperator(outcomes=self._output(step), **self._on_table(step), **arguments)

    def _merge(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        return SilverMergeOperator(batches=self._output(step), **self._on_table(step), **arguments)

    def _gold(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        spec = Spec(self.pipeline.gold[step.target], compact=True)
        return GoldAggregateOperator(spec=spec, **self._lakehouse(step), **arguments)

    def _profile(self, step: Step, arguments: dict[str, Any]) -> BaseOperator:
        hidden = self.pipeline.masked(step.published)
        layer = step.published.split(".")[0]
        return ProfileOperator(layer=layer, hidden=hidden, **self._lakehouse(step), **arguments)

    def _lakehouse(self, step: Step) -> dict[str, Any]:
        return {"table": step.target, **self._lake()}

    def _lake(self) -> dict[str, Any]:
        spark = self.pipeline.spark
        return {"lake": self.pipeline.lake, "spark_conn_id": spark.conn_id, "spark_conf": spark.conf}

    def _on_table(self, step: Step) -> dict[str, Any]:
        return {"spec": self.tables[step.target], **self._lakehouse(step)}

    def _output(self, step: Step) -> XComArg:
        above = step.upstream[0]
        if above not in self.outputs:
            self.outputs[above] = XComArg(self.tasks[above])
        return self.outputs[above]


_TASKS: dict[StepKind, Callable[[_Builder, Step, dict[str, Any]], BaseOperator]] = {
    StepKind.WAIT: _Builder._wait,
    StepKind.INGEST: _Builder._ingest,
    StepKind.PENDING: _Builder._pending,
    StepKind.GATE: _Builder._gate,
    StepKind.HOLD: _Builder._hold,
    StepKind.MERGE: _Builder._merge,
    StepKind.GOLD: _Builder._gold,
    StepKind.PROFILE: _Builder._profile,
}
