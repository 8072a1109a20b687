"""From a source into bronze."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airflow_ingest._context import run_info
from airflow_ingest._form import full_refresh
from airflow_ingest._interval import taken
from airflow_ingest.operators._base import LakehouseOperator, plain_errors
from airflow_ingest.operators._pins import TaskPins
from airflow_ingest.operators._spec import Spec, table_spec

if TYPE_CHECKING:
    from airflow.sdk import Context
    from jinja2 import Environment

    from airflow_ingest.config import Table
    from airflow_ingest.lakehouse import Database, RunInfo
    from airflow_ingest.operators._lineage import Lineage


class BronzeIngestOperator(LakehouseOperator):
    """Load a table's source into bronze: the rows as they came, once per batch.

    Returns the load's result; its `pending` are the batches that silver has still to take, oldest first.

    :param spec: the table as a pipeline file describes it: a mapping with the keys `source`, `extract`, `bronze`,
        `silver` and `quality`, or a `Table`
    :param files: the path or glob to load, in place of the spec's `source.files`
    """

    template_fields: Sequence[str] = ("lake", "files")
    loads = "bronze"
    _database: Database | None = None

    def __init__(
        self, *, spec: Spec[Table] | Table | Mapping[str, Any], files: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.spec = table_spec(spec, self.table)
        self.files = self._files_as_written = files or self.spec.model.source.files
        self._files_for_each: list[str | None] = []

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render the template fields, `files` anew for each of the run's batches too: see `execute`."""
        template = self.files
        super().render_template_fields(context, jinja_env)
        self._files_for_each = self.rendered_for_each(context, template)

    def execute(self, context: Context) -> dict[str, Any]:
        """Load the batch of this run; raises AirflowSkipException if there is nothing that this run should load.

        A run that follows several batches of other pipelines loads a batch of its own for the interval of each.
        """
        from airflow_ingest._databases import database_of
        from airflow_ingest.lakehouse import ingest_bronze

        table, run = self.spec.model, self._run(context)
        with plain_errors():
            database = self._database = database_of(table.source.jdbc) if table.source.jdbc else None
        parts = list(self._parts(context, run))
        with self.spark(context, run) as spark:
            results = [
                ingest_bronze(
                    spark,
                    self.lake_of(run),
                    self.table,
                    table,
                    part,
                    files=files,
                    database=database,
                    pins=pins,
                )
                for part, files, pins in parts
            ]
        return self.publish(context, results)

    def _run(self, context: Context) -> RunInfo:
        """Who asks for the load. Increments that begin anew belong to no interval, whatever the run has."""
        run, mode = run_info(context, self.pipeline, part=self._part(context)), self.spec.model.extract.mode
        if run.interval is None and mode == "interval":
            if taken(context).replay:
                raise AirflowSkipException(
                    f"tables.{self.table} loads data intervals, and this run follows a replay of dead letters, which "
                    "tells none. Backfill the days whose rows were replayed."
                )
            raise AirflowFailException(
                f"tables.{self.table} loads a data interval (`extract: {{mode: interval}}`), and this run has none: it "
                "was triggered without a logical date, and neither a cron schedule nor another pipeline's batch gives "
                "it one. Trigger it again with a date or with an interval in its form, or use `extract: {mode: full}`."
            )
        if mode == "incremental" and full_refresh(context):
            return run.model_copy(update={"kind": "live", "anew": True})
        return run

    def _parts(self, context: Context, run: RunInfo) -> Iterator[tuple[RunInfo, str | None, TaskPins]]:
        """Each batch that the run loads: who asks for it, its files, and where its plan is kept."""
        from airflow_ingest.lakehouse import Interval

        if self.spec.model.extract.mode != "interval" or not (each := self._files_for_each):
            yield run, self.files, TaskPins(context)
            return
        for (start, end), files in zip(taken(context).intervals, each, strict=True):
            part = run.model_copy(update={"interval": Interval(start=start, end=end)})
            yield part, files, TaskPins(context, f"{start.isoformat()}/")

    def lineage(self) -> Lineage:
        """From the source into bronze."""
        from airflow_ingest.graph.columns import Columns, bronze_columns
        from airflow_ingest.operators._lineage import Dataset, Lineage, loaded, source_names

        lake, table = self.own_lake, self.spec.model
        load = self.done[0] if self.done else None
        types, files = (load.columns, load.batch.files if load.batch else ()) if load else ({}, ())
        names = source_names(lake, table.source, self._files_as_written, self._database)
        size = sum(file.size for file in files) if files else None
        read = load.rows.read if load and load.version is not None and len(names) == 1 else None
        inputs = [Dataset(name, Columns(types), rows=read, size=size, files=len(files) or None) for name in names]
        columns = bronze_columns(table, "source", types) if len(names) == 1 else Columns(types)
        output = loaded(lake, f"bronze.{self.table}", columns, self.done)
        return Lineage(lake, inputs, [output], source={"source": names[0]} if names else {})

    def _part(self, context: Context) -> str:
        """What of the table this task loads, where several mapped ones share it."""
        if getattr(context["ti"], "map_index", -1) < 0:
            return ""
        return self.files or self.spec.model.source.model_dump_json(exclude_unset=True)
