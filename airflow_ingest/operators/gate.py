"""Between bronze and silver: what is there to do, may it pass, and what happens to what may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseXCom, BranchMixIn, SkipMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_ingest import _metrics
from airflow_ingest._context import run_info
from airflow_ingest._logs import name_in_logs, name_task_in_logs
from airflow_ingest.operators._base import LakehouseOperator, plain_errors
from airflow_ingest.operators._results import batches_of, describe_gate, held_of
from airflow_ingest.operators._spec import Spec, table_spec
from airflow_ingest.operators.links import QualityReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table
    from airflow_ingest.lakehouse import GateOutcome
    from airflow_ingest.operators._lineage import Lineage


class PendingBatchesOperator(BaseOperator, SkipMixin):
    """Go on if silver has batches to take, else skip the tasks right below. It reads XCom and needs no Spark.

    Returns the pending batches, oldest first.

    :param batches: the output of a `BronzeIngestOperator`
    """

    template_fields: Sequence[str] = ("batches",)
    inherits_from_skipmixin = True

    def __init__(self, *, batches: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batches = batches

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Look, log, and skip if there is nothing to do."""
        table = self.batches.get("table") if isinstance(self.batches, Mapping) else None
        name_task_in_logs(pipeline=context["dag"].dag_id, table=table, run_id=context["dag_run"].run_id)
        with plain_errors():
            pending = batches_of(self.batches)
        if pending:
            self.log.info("%d pending: %s", len(pending), ", ".join(batch.id for batch in pending))
        else:
            self.log.info("Silver has taken everything; there is nothing to do.")
            self.skip(ti=context["ti"], tasks=context["task"].get_direct_relatives(upstream=False))
        return [batch.to_dict() for batch in pending]


class QualityGateOperator(LakehouseOperator, BranchMixIn):
    """Evaluate a table's rules on every batch that is pending, put rejected rows into the DLQ, and branch.

    Batches that may pass lead to `publish_task_id`, batches that are blocked to `hold_task_id`; one run may take both
    ways. Returns the outcome of every batch. Without `hold_task_id` a blocked batch is held right here, and the task
    fails once all batches have been seen. Of a table that stops at bronze there is nothing to publish or to hold back:
    the task just fails for a blocked batch.

    :param spec: the table, as for `BronzeIngestOperator`
    :param batches: the output of a `PendingBatchesOperator` or of a `BronzeIngestOperator`
    :param publish_task_id: the task, or the task group, that publishes; its full id, with the groups that it is in;
        left out for a table without `silver`
    :param hold_task_id: the task that holds; a `HoldBatchOperator`
    """

    template_fields: Sequence[str] = ("lake", "batches")
    inherits_from_skipmixin = True
    operator_extra_links = (QualityReportLink(),)
    ui_color = "#fff4d6"
    _outcomes: Sequence[GateOutcome] = ()

    def __init__(
        self,
        *,
        spec: Spec[Table] | Table | Mapping[str, Any],
        batches: Any,
        publish_task_id: str | None = None,
        hold_task_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if publish_task_id is not None and publish_task_id == hold_task_id:
            raise ValueError(
                f"{self.task_id}: publish_task_id and hold_task_id are both {publish_task_id!r}. Name two tasks, or "
                "leave hold_task_id out: then this task itself fails when it blocks a batch."
            )
        self.spec = table_spec(spec, self.table)
        self.loads = "silver" if self.spec.model.silver else "bronze"
        self.batches = batches
        self.publish_task_id = publish_task_id
        self.hold_task_id = hold_task_id

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Evaluate, log, branch; raises AirflowFailException for a blocked batch that no task is there to hold.

        Where the task above was skipped there is nothing to judge, and this one skips itself.
        """
        from airflow_ingest.lakehouse import hold_batch, quality_gate

        if self.batches is None:
            raise AirflowSkipException("No batch was handed on, so there is nothing to judge.")

        run = run_info(context, self.pipeline)
        with plain_errors():
            batches = batches_of(self.batches)
        name_in_logs(batch_id=batches[0].id if len(batches) == 1 else None)
        with self.spark(context, run) as spark:
            lake = self.lake_of(run)
            outcomes: list[GateOutcome] = []
            self._outcomes = outcomes
            for batch in batches:
                name_in_logs(batch_id=batch.id)
                outcomes.append(quality_gate(spark, lake, self.table, self.spec.model, run, batch))
                self.log.info(describe_gate(outcomes[-1]))
                _metrics.batch_judged(run.pipeline, self.loads, outcomes[-1])
            blocked = [outcome for outcome in outcomes if outcome.decision == "block"]
            if blocked and self.hold_task_id is None:
                messages = [hold_batch(spark, lake, self.spec.model, run, outcome) for outcome in blocked]
                raise AirflowFailException("\n".join(messages))
        ways = [self.publish_task_id] if self.publish_task_id and len(blocked) < len(outcomes) else []
        ways += [self.hold_task_id] if blocked and self.hold_task_id else []
        handed_on = [outcome.to_dict() for outcome in outcomes]
        context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, handed_on)  # where a way is skipped, do_branch never returns
        self.do_branch(context, ways)
        return handed_on

    def lineage(self) -> Lineage:
        """Bronze, with how the rules came out on it, and the dead letters of the rows that were rejected."""
        from airflow_ingest.operators._lineage import Dataset, Lineage, gated, table_name

        lake, quality = self.own_lake, self.spec.model.quality
        rejected = sum(outcome.rows.rejected for outcome in self._outcomes)
        letters = [Dataset(table_name(lake, f"dlq.{self.table}"), rows=rejected)] if rejected else []
        return Lineage(lake, [gated(lake, self.table, self._outcomes, quality.rules)], letters)


class HoldBatchOperator(LakehouseOperator):
    """Hold the batches that the gate blocked and fail, so that the run is red. It is not tried again.

    :param spec: the table, as for `BronzeIngestOperator`
    :param outcomes: the output of a `QualityGateOperator`
    """

    template_fields: Sequence[str] = ("lake", "outcomes")
    ui_color = "#fbe3e4"

    def __init__(self, *, spec: Spec[Table] | Table | Mapping[str, Any], outcomes: Any, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "retries": 0})
        self.spec = table_spec(spec, self.table)
        self.outcomes = outcomes

    def execute(self, context: Context) -> None:
        """Record what is held; always raises AirflowFailException, with the reasons."""
        from airflow_ingest.lakehouse import hold_batch

        run, held = run_info(context, self.pipeline), held_of(self.outcomes)
        name_in_logs(batch_id=held[0].batch.id if len(held) == 1 else None)
        messages = []
        with self.spark(context, run) as spark:
            lake = self.lake_of(run)
            for outcome in held:
                name_in_logs(batch_id=outcome.batch.id)
                messages.append(hold_batch(spark, lake, self.spec.model, run, outcome))
        raise AirflowFailException("\n".join(messages) or f"{self.task_id}: the gate blocked no batch.")

    def lineage(self) -> Lineage:
        """Bronze, with how the rules came out on what is held."""
        from airflow_ingest.operators._lineage import Lineage, gated

        lake, quality = self.own_lake, self.spec.model.quality
        return Lineage(lake, [gated(lake, self.table, held_of(self.outcomes), quality.rules)])
