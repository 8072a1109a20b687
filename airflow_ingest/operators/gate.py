"""Between bronze and silver: what is there to do, may it pass, and what happens to what may not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseXCom, BranchMixIn, SkipMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator, plain_errors
from airflow_ingest.operators._results import batches_of, describe_gate, held_of
from airflow_ingest.operators._spec import Spec, table_spec
from airflow_ingest.operators.links import QualityReportLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table


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
        with self.spark(context, run) as spark:
            lake = self.lake_of(run)
            outcomes = []
            for batch in batches_of(self.batches):
                outcomes.append(quality_gate(spark, lake, self.table, self.spec.model, run, batch))
                self.log.info(describe_gate(outcomes[-1]))
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

        run = run_info(context, self.pipeline)
        with self.spark(context, run) as spark:
            lake = self.lake_of(run)
            messages = [hold_batch(spark, lake, self.spec.model, run, outcome) for outcome in held_of(self.outcomes)]
        raise AirflowFailException("\n".join(messages) or f"{self.task_id}: the gate blocked no batch.")
