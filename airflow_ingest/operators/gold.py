"""From silver into gold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from airflow_ingest import _metrics
from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator
from airflow_ingest.operators._pins import TaskPins
from airflow_ingest.operators._results import rule_table
from airflow_ingest.operators._spec import Spec, gold_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Gold
    from airflow_ingest.lakehouse.model import RuleResult
    from airflow_ingest.operators._lineage import Lineage


class GoldAggregateOperator(LakehouseOperator):
    """Bring a gold table up to date with the tables that it is made from; skip if they have nothing new.

    Returns the load's result.

    :param spec: the gold table as a pipeline file describes it: a mapping with `sql`, `aggregate` or `dates`, `load`,
        `partition_by`, `quality` and so on, or a `Gold`
    """

    template_fields: Sequence[str] = ("lake",)
    loads = "gold"
    _judged: Sequence[RuleResult] = ()
    ui_color = "#fdf1c7"

    def __init__(self, *, spec: Spec[Gold] | Gold | Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = gold_spec(spec, self.table)

    def execute(self, context: Context) -> dict[str, Any]:
        """Refresh the table; raises AirflowSkipException if nothing in its inputs has changed.

        Raises RulesBroken for a result that a rule of severity error does not let pass, with all rules in the log.
        """
        from airflow_ingest.lakehouse import RulesBroken, refresh_gold

        run = run_info(context, self.pipeline)
        with self.spark(context, run) as spark:
            lake, pins = self.lake_of(run), TaskPins(context)
            try:
                result = refresh_gold(spark, lake, self.table, self.spec.model, run, pins=pins)
            except RulesBroken as broken:
                self._judged = broken.rules
                _metrics.rules_judged(run.pipeline, self.table, self.loads, broken.rules)
                self.log.info("gold %s: block\n%s", self.table, rule_table(broken.rules))
                raise
        if result.status == "unchanged":
            self.measure(context, result)
            raise AirflowSkipException(result.reason or f"{self.table}: nothing in its inputs has changed.")
        return self.publish(context, [result])

    def lineage(self) -> Lineage:
        """From the tables that it is made from into the gold table."""
        from airflow_ingest.graph.columns import gold_columns
        from airflow_ingest.operators._lineage import Dataset, Lineage, loaded, table_name

        lake, gold = self.own_lake, self.spec.model
        columns = gold_columns(gold)
        known = next((load.columns for load in self.done if load.columns), columns.types)
        output = loaded(lake, f"gold.{self.table}", replace(columns, types=known), self.done)
        inputs = [Dataset(table_name(lake, table)) for table in gold.inputs]
        tests = [rule for load in self.done for rule in load.rules] or self._judged
        return Lineage(lake, inputs, [output], tests=tests, sql=gold.query)
