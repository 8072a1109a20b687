"""Who is told of what, and by when a run and its tables have to be done."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from airflow_ingest.config.report import Report, block
from airflow_ingest.config.values import KeyPath, quote

_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+\Z")
_WITHOUT_INTERVALS = ("@once", "@continuous")


def check_alerts(data: dict[str, Any], report: Report) -> None:
    """Check `alerts`, and `sla` of the pipeline and of its tables, in the plain data of a whole file."""
    alerts = block(data, "alerts")
    if isinstance(data.get("alerts"), dict) and not alerts.get("email") and not alerts.get("notify"):
        report.add(("alerts",), "tells nobody", "Give it an email, or a notifier under notify.", at_key=True)
    for level, notifiers in block(alerts, "notify").items():
        for index, notifier in enumerate(notifiers if isinstance(notifiers, list) else []):
            named = notifier.get("class") if isinstance(notifier, dict) else None
            if isinstance(named, str) and not _CLASS.match(named):
                at: KeyPath = ("alerts", "notify", level, index, "class")
                report.add(at, f"{quote(named)} names no class", "Write its import path: my_package.notifiers.Pager.")
    for path, sla in _slas(data):
        _check_sla(data, path, sla, report)


def _slas(data: dict[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    tables = ((("tables", name), table) for name, table in block(data, "tables").items())
    for at, holder in (((), data), *tables):
        if isinstance(holder, dict) and isinstance(holder.get("sla"), dict):
            yield (*at, "sla"), holder["sla"]


def _check_sla(data: dict[str, Any], at: KeyPath, sla: dict[str, Any], report: Report) -> None:
    schedule = data.get("schedule")
    if schedule is None or isinstance(schedule, dict) or schedule in _WITHOUT_INTERVALS:
        without = "without a schedule" if schedule is None else f"scheduled {schedule}"
        without = "scheduled after other tables" if isinstance(schedule, dict) else without
        problem = f"sla counts from the end of the data interval, and a pipeline {without} has none"
        report.add(at, problem, "Remove it, or give the pipeline a cron schedule.", at_key=True)
    if not (sla.get("email") or block(data, "sla").get("email") or block(data, "alerts").get("email")):
        hint = "Write  email: [ops@example.com]  beside within, or give the pipeline an alerts.email."
        report.add(at, "nobody is told when it is late", hint, at_key=True)
