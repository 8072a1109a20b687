"""From bronze into silver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator
from airflow_ingest.operators._pins import TaskPins
from airflow_ingest.operators._results import passed_of
from airflow_ingest.operators._spec import Spec, table_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table


class SilverMergeOperator(LakehouseOperator):
    """Publish batches in silver, oldest first. Doing it again changes nothing.

    Returns the load's result; of several batches the last one's, with the rows of all and each load under `loads`.

    :param spec: the table, as for `BronzeIngestOperator`; it must have `silver`
    :param batches: the output of a `QualityGateOperator` or, for a table without rules, of a `BronzeIngestOperator`
    """

    template_fields: Sequence[str] = ("lake", "batches")

    def __init__(self, *, spec: Spec[Table] | Table | Mapping[str, Any], batches: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = table_spec(spec, self.table)
        if not isinstance(spec, Spec) and self.spec.model.silver is None:
            raise ValueError(
                f"{self.task_id}: the table {self.table} has no `silver`, so there is nothing to merge. Add `silver` "
                "to its spec, or leave this task out: the table then ends in bronze."
            )
        self.batches = batches

    def execute(self, context: Context) -> dict[str, Any]:
        """Merge every batch that was handed on."""
        from airflow_ingest.lakehouse import merge_silver

        run, passed = run_info(context, self.pipeline), passed_of(self.batches)
        with self.spark(context, run) as spark:
            lake, pins = self.lake_of(run), TaskPins(context)
            results = [
                merge_silver(spark, lake, self.table, self.spec.model, run, batch, outcome, pins=pins)
                for batch, outcome in passed
            ]
        rules = [rule for _, outcome in passed if outcome is not None for rule in outcome.rules]
        return self.publish(context, results, rules)
