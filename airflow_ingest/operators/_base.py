"""What the operators share: where the lake is, a Spark session, plain errors, and where results go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_ingest import _metrics
from airflow_ingest._context import IntervalTemplates
from airflow_ingest._interval import taken
from airflow_ingest._logs import name_in_logs
from airflow_ingest.config import IngestError
from airflow_ingest.operators._retries import RETRIES
from airflow_ingest.operators._traced import Traced

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Lake, LoadResult, RunInfo
    from airflow_ingest.lakehouse.model import RuleResult


class LakehouseOperator(IntervalTemplates, Traced, BaseOperator):
    """A step on one table of a lake; the work itself is done in `airflow_ingest.lakehouse`.

    :param lake: the lake's root: a folder, or a URL that Spark can write to; tables are at `<lake>/<layer>/<table>`
    :param table: the table's name
    :param pipeline: the pipeline that owns the table; left out, the DAG's id
    :param spark_conn_id: an Airflow connection of type `spark` or `spark_connect`; without one, or with None, Spark
        runs on this machine
    :param spark_conf: settings of the Spark session
    """

    template_fields: Sequence[str] = ("lake",)
    ui_color = "#e8f4ea"
    loads: Literal["bronze", "silver", "gold", ""] = ""
    """The layer that the operator brings rows to, in metrics; empty for one that loads nothing."""
    done: Sequence[LoadResult] = ()
    """What this task has loaded so far."""

    def __init__(
        self,
        *,
        lake: str,
        table: str,
        pipeline: str | None = None,
        spark_conn_id: str | None = "spark_default",
        spark_conf: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("max_active_tis_per_dag", 1)
        kwargs.setdefault("retry_policy", RETRIES)
        super().__init__(**kwargs)
        self.lake = lake
        self.table = table
        self.pipeline = pipeline
        self.spark_conn_id = spark_conn_id
        self.spark_conf = spark_conf

    def lake_of(self, run: RunInfo) -> Lake:
        """The lake as the run's pipeline sees it."""
        from airflow_ingest.lakehouse import Lake

        return Lake(self.lake, run.pipeline)

    @property
    def own_lake(self) -> Lake:
        """The lake, outside a run."""
        from airflow_ingest.lakehouse import Lake

        return Lake(self.lake, self.pipeline or self.dag_id)

    @contextmanager
    def spark(self, context: Context, run: RunInfo) -> Iterator[SparkSession]:
        """A Spark session of this task's own. What goes wrong inside is told in one message, without a stack trace.

        A failure after which no try follows is counted, and written down in `ops/failed_loads`.
        """
        from airflow_ingest.hooks import SparkDeltaHook

        with plain_errors(), SparkDeltaHook(self.spark_conn_id, conf=self.spark_conf).session() as session:
            try:
                yield session
            except Exception as error:
                tries = getattr(context["ti"], "try_number", 1), getattr(context["ti"], "max_tries", 0)
                if RETRIES.is_last(error, *tries):
                    if self.loads:
                        _metrics.load_failed(run.pipeline, self.table, self.loads)
                    self._write_down(session, run, error, attempts=tries[0])
                raise

    def _write_down(self, spark: SparkSession, run: RunInfo, error: Exception, *, attempts: int) -> None:
        from airflow_ingest.lakehouse import record_failure

        source, batches = str(getattr(self, "files", None) or ""), getattr(self, "batches", None)
        ids = tuple(str(batch["id"]) for batch in batches if "id" in batch) if isinstance(batches, list) else ()
        try:
            record_failure(
                spark,
                self.lake_of(run),
                run,
                self.table,
                self.task_id,
                error,
                attempts=attempts,
                source=source,
                batches=ids,
            )
        except Exception as unwritten:
            self.log.warning("The failure could not be written to ops/failed_loads: %s", unwritten)

    def publish(
        self, context: Context, results: Iterable[LoadResult], rules: Iterable[RuleResult] = ()
    ) -> dict[str, Any]:
        """Log the loads and their interval, measure them, put them on the outlets' asset events and give back what goes
        into XCom.

        The events also tell how `rules` came out, and those of the loads themselves. Raises AirflowSkipException if the
        load had nothing to do.
        """
        from airflow_ingest.operators._results import describe, merged, told_of

        self.done = results = tuple(results)
        interval = taken(context)
        self.log.info("The run's interval: %s", interval)
        for result in results:
            name_in_logs(batch_id=result.batch.id if result.batch else None)
            self.log.info(describe(result))
            self.measure(context, result)
        total = merged(results)
        if total.get("status") == "skipped":
            raise AirflowSkipException(total["reason"])
        total["interval"] = interval.to_dict()
        told = told_of(total, [*rules, *(rule for result in results for rule in result.rules)])
        for outlet in self.outlets:
            if isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(told)
        ended = datetime.now(timezone.utc).isoformat()
        return {**total, "attempt": getattr(context["ti"], "try_number", 1), "ended": ended}

    def measure(self, context: Context, result: LoadResult) -> None:
        """Send the metrics of a load."""
        _metrics.load_done(self.pipeline or context["dag"].dag_id, self.loads, result)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Let the package's errors through with their message alone: what caused them in Spark fills pages."""
    try:
        yield
    except IngestError as error:
        raise error.with_traceback(None) from None
