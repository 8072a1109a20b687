"""From bronze into silver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_ingest._context import run_info
from airflow_ingest._logs import name_in_logs
from airflow_ingest.operators._base import LakehouseOperator
from airflow_ingest.operators._pins import TaskPins
from airflow_ingest.operators._results import passed_of
from airflow_ingest.operators._spec import Spec, table_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table
    from airflow_ingest.operators._lineage import Lineage


class SilverMergeOperator(LakehouseOperator):
    """Publish batches in silver, oldest first. Doing it again changes nothing.

    Returns the load's result; of several batches the last one's, with the rows of all and each load under `loads`.

    :param spec: the table, as for `BronzeIngestOperator`; it must have `silver`
    :param batches: the output of a `QualityGateOperator` or, for a table without rules, of a `BronzeIngestOperator`
    """

    template_fields: Sequence[str] = ("lake", "batches")
    loads = "silver"

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
        name_in_logs(batch_id=passed[0][0].id if len(passed) == 1 else None)
        with self.spark(context, run) as spark:
            lake, pins = self.lake_of(run), TaskPins(context)
            results = []
            for batch, outcome in passed:
                name_in_logs(batch_id=batch.id)
                results.append(merge_silver(spark, lake, self.table, self.spec.model, run, batch, outcome, pins=pins))
        rules = [rule for _, outcome in passed if outcome is not None for rule in outcome.rules]
        return self.publish(context, results, rules)

    def lineage(self) -> Lineage:
        """From bronze, and the tables that it looks up, into silver."""
        from airflow_ingest.graph.columns import silver_columns
        from airflow_ingest.operators._lineage import Dataset, Lineage, loaded, table_name

        lake, table = self.own_lake, self.spec.model
        batches = [load.batch for load in self.done if load.batch]
        columns = silver_columns(self.table, table, batches[-1].columns if batches else ())
        read = sum(load.rows.read for load in self.done) if self.done else None
        others = [Dataset(table_name(lake, f"silver.{name}")) for name in table.looked_up]
        bronze = Dataset(table_name(lake, f"bronze.{self.table}"), rows=read)
        return Lineage(lake, [bronze, *others], [loaded(lake, f"silver.{self.table}", columns, self.done)])
