"""What the form of a pipeline's DAG asks of a run: an interval, some of the tables, increments from the beginning.

The operators that a pipeline file makes heed it; those that stand in a DAG of your own do not.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context

FROM, TO, TABLES, FULL = "interval_from", "interval_to", "tables", "full_refresh"
KEYS = (FROM, TO, TABLES, FULL)


def asked_interval(context: Context) -> tuple[datetime, datetime] | None:
    """The interval that the form names. Raises AirflowFailException for half of one, or one without length."""
    start, end = (_moment(context, key) for key in (FROM, TO))
    if start is None and end is None:
        return None
    if _run_type(context) == "backfill":
        raise AirflowFailException(
            f"A backfill's runs have intervals of their own: leave {FROM} and {TO} empty, and choose its dates instead."
        )
    if start is None or end is None:
        missing = FROM if start is None else TO
        raise AirflowFailException(f"The form names one end of an interval: fill in {missing} too, or neither.")
    if start >= end:
        raise AirflowFailException(
            f"{FROM} ({start.isoformat()}) is not before {TO} ({end.isoformat()}). The start is included, the end is "
            "not: of one day, its midnight and the next one's."
        )
    return start, end


def is_chosen(context: Context, table: str | None) -> bool:
    """Whether the form lets the table take part; an empty choice means all."""
    chosen = _asked(context, TABLES)
    return not table or not chosen or table in chosen


def full_refresh(context: Context) -> bool:
    """Whether increments are to begin anew. Raises AirflowFailException for a backfill."""
    wanted = bool(_asked(context, FULL))
    if wanted and _run_type(context) == "backfill":
        raise AirflowFailException(
            f"A backfill has intervals, and {FULL} reads a source from its beginning. Trigger a single run with it."
        )
    return wanted


def _asked(context: Context, key: str) -> Any:
    """What the form says; nothing to an operator that is not of a pipeline file."""
    params: Any = context.get("params") or {}
    if getattr(context.get("task"), "chosen_as", None) is None or key not in params:
        return None
    return params[key]


def _moment(context: Context, key: str) -> datetime | None:
    text = _asked(context, key)
    if not text:
        return None
    moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    if moment.tzinfo:
        return moment
    zone = str(getattr(context["dag"], "timezone", "UTC"))
    return moment.replace(tzinfo=ZoneInfo(zone))


def _run_type(context: Context) -> str:
    kind = context["dag_run"].run_type
    return str(getattr(kind, "value", kind))
