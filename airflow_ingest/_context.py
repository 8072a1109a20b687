"""What operators and sensors read from Airflow's context: the run, its data interval, and templates that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from jinja2 import Environment, UndefinedError

from airflow_ingest._form import TABLES, is_chosen
from airflow_ingest._interval import taken
from airflow_ingest._logs import name_task_in_logs
from airflow_ingest.config import interval_variables

if TYPE_CHECKING:
    from datetime import datetime

    from airflow.sdk import BaseOperator, Context

    from airflow_ingest.lakehouse import RunInfo
else:
    BaseOperator = object  # a mixin: every class below Airflow's BaseOperator costs time at each task's construction

_ON_SCHEDULE = ("scheduled", "asset_triggered", "asset_materialization")


def data_interval(context: Context) -> tuple[datetime, datetime] | None:
    """The start and the end of what the run takes, as `taken` finds it; None for a run that has no interval."""
    return taken(context).bounds


def run_info(context: Context, pipeline: str | None = None, *, part: str = "") -> RunInfo:
    """Tell the lakehouse who asks for a load.

    A run of the schedule, and one triggered without a date, is live: it takes all that is pending. A backfill, and a
    run triggered for a date or for an interval of its form, keep to their own data interval. `pipeline` defaults to the
    DAG's id; `part` is `RunInfo.part`.
    """
    from airflow_ingest.lakehouse import Interval, RunInfo

    dag_run = context["dag_run"]
    run_type = str(getattr(dag_run.run_type, "value", dag_run.run_type))
    own = dag_run.data_interval_start is not None
    found = taken(context)
    bounds = found.bounds
    live = not found.asked and (run_type in _ON_SCHEDULE or not own)
    return RunInfo(
        pipeline=pipeline or context["dag"].dag_id,
        run_id=dag_run.run_id,
        interval=Interval(start=bounds[0], end=bounds[1]) if bounds else None,
        kind="backfill" if run_type == "backfill" else "live" if live else "manual",
        part=part,
    )


class IntervalTemplates(BaseOperator):
    """An operator whose templates always speak of the run's data interval, however the run was started.

    Airflow's own `ds` and `ts` follow the logical date, which a manual run may set apart from the interval it loads.
    The lines of the task's log name the pipeline, the run and, where there is one, the table.
    """

    chosen_as: str | None = None
    """The table by which the form of a pipeline's DAG chooses the task, or "" for one that no choice leaves out; None
    for a task outside such a DAG, which heeds no form."""
    of_one_table: ClassVar[bool] = True
    """Whether the operator's `table`, if it has one, is a table of the lake."""
    table: str = ""
    """The table that it works on, or for which it waits."""

    def pre_execute(self, context: Context) -> None:
        """Name in the log what the task works on."""
        pipeline = getattr(self, "pipeline", None) or context["dag"].dag_id
        table = self.table if self.of_one_table else ""
        name_task_in_logs(pipeline=pipeline, table=table or None, run_id=context["dag_run"].run_id)

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render the template fields; raises AirflowFailException for a date that the run does not have.

        Raises AirflowSkipException for a table that the run's form leaves out.
        """
        if not is_chosen(context, self.chosen_as):
            raise AirflowSkipException(f"{self.chosen_as} is not among the {TABLES} that this run was started for.")
        bounds = data_interval(context)
        variables: dict[str, Any] = interval_variables(*bounds) if bounds else {}
        try:
            super().render_template_fields(cast("Context", {**context, **variables}), jinja_env)
        except UndefinedError as error:
            if bounds:
                raise
            raise AirflowFailException(
                f"{self.task_id}: a template needs a date ({error}), and this run has none: it was triggered without a "
                "logical date, and its DAG has no cron schedule. Trigger it again with one, or start a backfill."
            ) from None

    def rendered_for_each(self, context: Context, template: Any) -> list[Any]:
        """A template rendered for each interval of a run that has several; nothing for any other run."""
        intervals = taken(context).intervals
        if len(intervals) < 2:
            return []
        each = ({**context, **interval_variables(*bounds)} for bounds in intervals)
        return [self.render_template(template, cast("Context", variables)) for variables in each]
