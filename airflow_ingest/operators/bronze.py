"""From a source into bronze."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator, plain_errors
from airflow_ingest.operators._pins import TaskPins
from airflow_ingest.operators._spec import Spec, table_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table


class BronzeIngestOperator(LakehouseOperator):
    """Load a table's source into bronze: the rows as they came, once per batch.

    Returns the load's result; its `pending` are the batches that silver has still to take, oldest first.

    :param spec: the table as a pipeline file describes it: a mapping with the keys `source`, `extract`, `bronze`,
        `silver` and `quality`, or a `Table`
    :param files: the path or glob to load, in place of the spec's `source.files`
    """

    template_fields: Sequence[str] = ("lake", "files")

    def __init__(
        self, *, spec: Spec[Table] | Table | Mapping[str, Any], files: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.spec = table_spec(spec, self.table)
        self.files = files or self.spec.model.source.files

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the batch of this run; raises AirflowSkipException if there is nothing that this run should load."""
        from airflow_ingest._databases import database_of
        from airflow_ingest.lakehouse import ingest_bronze

        run = run_info(context, self.pipeline, part=self._part(context))
        if run.interval is None and self.spec.model.extract.mode == "interval":
            raise AirflowFailException(
                f"tables.{self.table} loads a data interval (`extract: {{mode: interval}}`), and this run has none: it "
                "was triggered without a logical date. Trigger it again with one, start a backfill of the days that "
                "you want, or use `extract: {mode: full}`."
            )
        table = self.spec.model
        with plain_errors():
            database = database_of(table.source.jdbc) if table.source.jdbc else None
        with self.spark(context, run) as spark:
            result = ingest_bronze(
                spark,
                self.lake_of(run),
                self.table,
                table,
                run,
                files=self.files,
                database=database,
                pins=TaskPins(context),
            )
        return self.publish(context, [result])

    def _part(self, context: Context) -> str:
        """What of the table this task loads, where several mapped ones share it."""
        if getattr(context["ti"], "map_index", -1) < 0:
            return ""
        return self.files or self.spec.model.source.model_dump_json(exclude_unset=True)
