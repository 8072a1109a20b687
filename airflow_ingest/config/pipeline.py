"""The model of a whole file."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from airflow_ingest.config.block import Block
from airflow_ingest.config.gold import Gold
from airflow_ingest.config.rules import AnyRule
from airflow_ingest.config.schedule import Schedule
from airflow_ingest.config.table import Sla, Table
from airflow_ingest.config.values import Duration, Email, Rate, Setting, quote, wrong

Level = Literal["critical", "warning", "info"]
LevelOrNone = Literal["critical", "warning", "info", "none"]
Event = Literal[
    "failure", "gate_error", "gate_warning", "high_reject_rate", "circuit_open", "no_data", "stale", "recovered"
]
LEVELS: dict[Event, Level] = {
    "failure": "critical",
    "gate_error": "critical",
    "gate_warning": "warning",
    "high_reject_rate": "warning",
    "circuit_open": "critical",
    "no_data": "info",
    "stale": "warning",
    "recovered": "info",
}
"""How serious each event is where `alerts.levels` does not say."""


def _parse_timezone(value: Any) -> str:
    try:
        return ZoneInfo(value).key
    except (ZoneInfoNotFoundError, TypeError, ValueError, OSError):
        raise wrong(f"{quote(value)} is not a time zone", "Use a name of the IANA list: UTC, Europe/Berlin.") from None


def _parse_start(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise wrong(f"{quote(value)} is not a date", "Write a day or a time that exists: 2013-01-31, 2013-01-31T06:00.")


class Spark(Block):
    """Where Spark runs, and its settings for this pipeline."""

    conn_id: str | None = Field("spark_default", description="The Airflow connection whose type chooses the runtime.")
    conf: dict[str, Setting] = Field({}, description="Spark's session settings; static ones belong to the server.")


class Retries(Block):
    """How a failed task is tried again, with growing delays."""

    attempts: int = Field(3, ge=1, le=100, description="How many tries a task has, the first included.")
    delay: Duration = Field(timedelta(seconds=30), description="The wait before the first retry; it doubles.")
    max_delay: Duration = Field(timedelta(minutes=10), description="The longest wait between two tries.")


class Notifier(Block):
    """Any Airflow notifier."""

    class_: str = Field(alias="class", description="Its import path.")
    args: dict[str, Any] = Field({}, description="Its arguments; texts may name `{{ alert.subject }}` and so on.")


class Alerts(Block):
    """Who is told of what."""

    email: list[Email] = Field([], description="Who gets a mail.")
    levels: dict[Event, LevelOrNone] = Field(
        {},
        description="How serious each event is; `none` tells nobody. Left out: failure, gate_error and circuit_open "
        "are critical, gate_warning, high_reject_rate and stale are warnings, no_data and recovered are info.",
    )
    notify: dict[Level, list[Notifier]] = Field({}, description="Further notifiers per level.")

    def level(self, event: Event) -> LevelOrNone:
        """How serious an event is."""
        return self.levels.get(event, LEVELS[event])


class CircuitBreaker(Block):
    """When runs stop trying: after so many bad ones in a row, until one of them may try again."""

    failures: int = Field(
        3, ge=1, description="How many bad runs in a row open it: runs in which a table failed or was held."
    )
    reset_after: Duration = Field(
        timedelta(minutes=30), description="How long it stays open. Then one run tries, and closes or opens it again."
    )
    max_reject_rate: Rate | None = Field(
        None, description="A run is bad too if it rejected more than this share of a table's rows. Left out: never."
    )
    backfills: bool = Field(
        False, description="Whether backfills, and runs by hand for an interval, count, and are stopped too."
    )


class Pipeline(Block):
    """One YAML file: one Airflow DAG."""

    pipeline: str = Field(description="Its name, which is the file's stem and the DAG's id.")
    description: str = Field("", description="Shown in Airflow. Environment variables are not expanded here.")
    owner: str = Field("airflow", description="Who answers for it. Environment variables are not expanded here.")
    tags: list[str] = Field([], description="Tags of the DAG. Environment variables are not expanded here.")
    schedule: Schedule | None = Field(
        None, description='A cron expression, a preset such as `"@daily"`, `"@continuous"`, or `{assets: [...]}`.'
    )
    timezone: Annotated[str, PlainValidator(_parse_timezone), WithJsonSchema({"type": "string"})] = Field(
        "UTC", description="The time zone of `schedule` and `start_date`, by its IANA name."
    )
    start_date: (
        Annotated[datetime, PlainValidator(_parse_start), WithJsonSchema({"type": "string", "x-type": "date or time"})]
        | None
    ) = Field(None, description="Where the first data interval begins. Needed with a schedule.")
    catchup: bool = Field(False, description="Whether intervals missed since `start_date` are run.")
    max_active_runs: int = Field(1, ge=1, description="How many runs go on at the same time.")
    lake: str = Field(description="The folder or URL under which the tables lie: `<lake>/<layer>/<table>`.")
    spark: Spark = Field(Spark(), description="Where Spark runs.")
    retries: Retries = Field(Retries(), description="How failed tasks are tried again.")
    sla: Sla | None = Field(None, description="By when a run has to be done.")
    alerts: Alerts | None = Field(None, description="Who is told of what.")
    circuit_breaker: CircuitBreaker | None = Field(None, description="When runs stop trying.")
    dag: dict[str, Any] = Field({}, description="Any further argument of Airflow's DAG, checked against it.")
    task: dict[str, Any] = Field({}, description="Any further argument of BaseOperator, for every task.")
    defaults: dict[str, Any] = Field({}, description="A table's keys that are merged into every table below.")
    tables: dict[str, Table] = Field(min_length=1, description="The tables, by name.")
    gold: dict[str, Gold] = Field({}, description="The tables made from silver, by name.")
    rule_packs: dict[str, list[AnyRule]] = Field(
        {}, description="Rules that tables share, by the pack's name, which they give under `quality.packs`."
    )

    def late_mail(self, sla: Sla) -> tuple[str, ...]:
        """Who is told when `sla`, the pipeline's or a table's, is missed: its own addresses, or the next ones above."""
        above = (sla.email, self.sla.email if self.sla else [], self.alerts.email if self.alerts else [])
        return tuple(next(filter(None, above), ()))

    def masked(self, table: str) -> tuple[str, ...]:
        """The columns of a table, such as `silver.orders`, whose values are shown nowhere.

        A gold table may take any silver table's masked column along, under its own name.
        """
        layer, name = table.split(".", 1)
        models = (model.silver for found, model in self.tables.items() if layer == "gold" or found == name)
        return tuple(dict.fromkeys(column for silver in models if silver for column in silver.masked))

    @field_validator("start_date")
    @classmethod
    def _in_timezone(cls, value: datetime | None, info: ValidationInfo) -> datetime | None:
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=ZoneInfo(info.data.get("timezone", "UTC")))
