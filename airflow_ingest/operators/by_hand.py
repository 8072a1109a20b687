"""What people start from a form: on a table of one of many pipelines, whose file is read when the task runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.sdk import Asset, AssetAlias, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_ingest import _metrics
from airflow_ingest._context import run_info
from airflow_ingest._logs import name_in_logs, name_task_in_logs
from airflow_ingest.config import IngestError, expression_problem, load_pipeline
from airflow_ingest.config.values import nearest
from airflow_ingest.operators._base import plain_errors
from airflow_ingest.operators._results import describe, describe_replay, told_of
from airflow_ingest.operators._retries import RETRIES
from airflow_ingest.operators._traced import Traced

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pyspark.sql import SparkSession

    from airflow_ingest.config import Pipeline
    from airflow_ingest.lakehouse import Lake, LoadResult, RunInfo
    from airflow_ingest.operators._lineage import Lineage


@dataclass(frozen=True)
class _Work:
    """A table of a pipeline, the run that works on it, and with what."""

    spark: SparkSession
    lake: Lake
    pipeline: Pipeline
    table: str
    run: RunInfo


class _FormOperator(Traced, BaseOperator):
    """Works on the table that the run's param `table` names as `<pipeline>.<table>`.

    What it changes is told by asset events of the tables, through the `AssetAlias` that is its outlet.

    :param files: the files of the pipelines, by their names
    """

    reads: ClassVar[Literal["bronze", "dlq"]]
    """The layer that the rows come from."""
    _lineage: Lineage | None = None

    def __init__(self, *, files: Mapping[str, str], **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", RETRIES)
        alias = AssetAlias(f"{kwargs['task_id']}.changed")
        super().__init__(**{"outlets": [alias], **kwargs})
        self.files = dict(files)

    @contextmanager
    def _working(self, context: Context) -> Iterator[_Work]:
        from airflow_ingest.hooks import SparkDeltaHook
        from airflow_ingest.lakehouse import Lake

        name, _, table = str(context["params"]["table"]).partition(".")
        with plain_errors(), _mistakes_fail_at_once():
            if name not in self.files:
                raise IngestError(f"There is no pipeline {name!r} (any more). There are: {', '.join(self.files)}.")
            pipeline = load_pipeline(self.files[name])
            if table not in pipeline.tables:
                raise IngestError(f"{name} has no table {table!r} (any more). It has: {', '.join(pipeline.tables)}.")
            run = _by_somebody(run_info(context, name), context)
            name_task_in_logs(pipeline=name, table=table, run_id=context["dag_run"].run_id)
            with SparkDeltaHook(pipeline.spark.conn_id, conf=pipeline.spark.conf).session() as spark:
                work = _Work(spark, Lake(pipeline.lake, name), pipeline, table, run)
                self._trace(work)
                yield work

    def _changed(self, context: Context, work: _Work, layer: str, table: str, result: Mapping[str, Any]) -> None:
        """Tells those that are scheduled by the table that it has changed."""
        asset = Asset(f"{work.pipeline.pipeline}.{layer}.{table}")
        for outlet in self.outlets:
            if isinstance(outlet, AssetAlias):
                context["outlet_events"][outlet].add(asset, extra=dict(result))
        self._trace(work, f"{layer}.{table}")

    def _trace(self, work: _Work, changed: str | None = None) -> None:
        from airflow_ingest.operators._lineage import Dataset, Lineage, table_name

        inputs = [Dataset(table_name(work.lake, f"{self.reads}.{work.table}"))]
        outputs = [*self._lineage.outputs] if self._lineage else []
        outputs += [Dataset(table_name(work.lake, changed))] if changed else []
        self._lineage = Lineage(work.lake, inputs, outputs)

    def lineage(self) -> Lineage | None:
        """From the dead letters, or from bronze, into the tables that were changed."""
        return self._lineage

    def _refresh(self, context: Context, work: _Work) -> dict[str, Any]:
        """Brings the gold that reads the table up to date; raises AirflowFailException if one of them fails."""
        from airflow_ingest.graph import gold_reading
        from airflow_ingest.lakehouse import refresh_gold

        found: dict[str, LoadResult] = {}
        failed = []
        for name in gold_reading(work.pipeline, f"silver.{work.table}"):
            try:
                found[name] = refresh_gold(work.spark, work.lake, name, work.pipeline.gold[name], work.run)
            except IngestError as error:
                failed.append(f"gold.{name}: {error}")
                continue
            self.log.info(describe(found[name]))
            _metrics.load_done(work.run.pipeline, "gold", found[name])
            if found[name].status == "loaded":
                told = told_of(found[name].to_dict(), found[name].rules)
                self._changed(context, work, "gold", name, told)
        if failed:
            raise AirflowFailException("\n".join(["Silver is done, gold is not:", *failed]))
        return {name: result.status for name, result in found.items()}


class ReplayLettersOperator(_FormOperator):
    """Replay dead letters as the run's params say: see `airflow_ingest.factory.by_hand`. Returns what became of them.

    A retry goes on where the attempt before it was: no letter is tried twice by one run.
    """

    reads = "dlq"
    ui_color = "#e8f4ea"

    def execute(self, context: Context) -> dict[str, Any]:
        """Replay, then refresh gold; raises AirflowFailException if gold fails."""
        from pydantic import AwareDatetime, TypeAdapter

        from airflow_ingest.lakehouse import check_replayable, replay_dlq

        params = context["params"]
        fix: dict[str, str] = params["fix"] or {}
        for column, sql in fix.items():
            if problem := expression_problem(str(sql)):
                raise AirflowFailException(f"fix: {column}: {problem}")
        since = TypeAdapter(AwareDatetime).validate_python(params["since"]) if params["since"] else None
        if since and since.astimezone(timezone.utc) > datetime.now(timezone.utc):
            raise AirflowFailException(f"since: {since} lies ahead, so no row was rejected since then.")
        with self._working(context) as work:
            model = work.pipeline.tables[work.table]
            check_replayable(work.table, model)
            result = replay_dlq(
                work.spark,
                work.lake,
                work.table,
                model,
                work.run,
                rule=params["rule"] or None,
                since=since,
                ids=params["ids"] or (),
                limit=params["limit"],
                batch_size=params["batch_size"],
                dry_run=params["dry_run"],
                fix=fix,
                progress=lambda so_far: self.log.info(describe_replay(so_far)),
            )
            self.log.info(describe_replay(result))
            _metrics.letters_replayed(work.run.pipeline, result)
            if params["rule"] and not result.open + result.waiting:
                _check_rule(work, params["rule"])
            gold = {}
            if not result.dry_run:
                if result.replayed or context["ti"].try_number > 1:  # an attempt that died has told nobody
                    self._changed(context, work, "silver", work.table, result.to_dict())
                gold = self._refresh(context, work)
        return {**result.to_dict(), "gold": gold}


class DecideHeldOperator(_FormOperator):
    """Let a held batch through to silver, or throw it away, as the run's params say. Returns what was done."""

    reads = "bronze"
    ui_color = "#fbe3e4"

    def execute(self, context: Context) -> dict[str, Any]:
        """Decide, and for a release merge the batch and refresh gold; raises AirflowFailException if gold fails."""
        from airflow_ingest.lakehouse import decide_held, release_batch

        params = context["params"]
        batch, reason = (params["batch"] or "").strip() or None, params["reason"].strip()
        if not reason:
            raise AirflowFailException("reason: say why, for those who look at it later.")
        with self._working(context) as work:
            spark, lake, table, run = work.spark, work.lake, work.table, work.run
            if params["decision"] == "discard":
                found = decide_held(spark, lake, table, batch, "discarded", reason=reason, run_id=run.run_id)
                self.log.info("batch %s is discarded: no run merges it. Its rows stay in bronze.", found.id)
                return {"batch": found.to_dict(), "decision": "discarded"}
            result = release_batch(spark, lake, table, work.pipeline.tables[table], run, batch, reason=reason)
            name_in_logs(batch_id=result.batch.id if result.batch else None)
            self.log.info(describe(result))
            _metrics.load_done(run.pipeline, "silver", result)
            self._changed(context, work, "silver", table, result.to_dict())
            return {**result.to_dict(), "decision": "released", "gold": self._refresh(context, work)}


def _check_rule(work: _Work, rule: str) -> None:
    """Raises AirflowFailException if `rule` has rejected no row of the table, ever."""
    from airflow_ingest.lakehouse import letters_by_rule

    known = sorted({found.rule for found in letters_by_rule(work.spark, work.lake, work.table)})
    if rule not in known:
        near = nearest(rule, known)
        rejected = f"Rows were rejected by: {', '.join(known) or 'none'}."
        raise AirflowFailException(f"rule: no row of {work.table} was rejected by {rule!r}. {near or rejected}")


@contextmanager
def _mistakes_fail_at_once() -> Iterator[None]:
    """What somebody has to put right first, such as an id that there is not, is not tried again."""
    from airflow_ingest.lakehouse import LakehouseError

    try:
        yield
    except IngestError as error:
        if type(error) in (IngestError, LakehouseError):
            raise AirflowFailException(str(error)) from None
        raise


def _by_somebody(run: RunInfo, context: Context) -> RunInfo:
    """`run` with the name of who has started it in its id, which is what the DLQ and `ops/batches` keep."""
    user = getattr(context["dag_run"], "triggering_user_name", None)
    return run.model_copy(update={"run_id": f"{run.run_id} by {user}"}) if user else run
