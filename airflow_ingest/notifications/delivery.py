"""Alerts on their way: by e-mail to all who are named, and to the notifiers of their level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_ingest.notifications.mail import send_mails
from airflow_ingest.notifications.notifiers import notify

if TYPE_CHECKING:
    from airflow_ingest.config.pipeline import Alerts
    from airflow_ingest.notifications.alert import Alert


def deliver(alerts: Sequence[Alert], routes: Alerts, context: Mapping[str, Any]) -> list[str]:
    """Send each of `alerts` by the `routes`; returns the subjects of those that reached somebody. Raises nothing."""
    mailed = send_mails(routes.email, alerts) if alerts and routes.email else []
    took = [alert for alert in alerts if notify(_notifiers(routes, alert), alert, context)]
    return [alert.subject for alert in alerts if alert in mailed or alert in took]


def _notifiers(routes: Alerts, alert: Alert) -> list[Any]:
    return next((found for level, found in routes.notify.items() if level == alert.level), [])
