"""Mails through Airflow's SMTP connection."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_ingest.notifications.alert import Alert

log = logging.getLogger(__name__)


def send_mails(to: Sequence[str], alerts: Iterable[Alert]) -> list[Alert]:
    """Send each of `alerts` as one mail to all of `to`; returns those that the server has taken.

    All go through one connection, the one that `[email] email_conn_id` names (`smtp_default`). What goes wrong is
    logged as a warning and raised to nobody.
    """
    from airflow.providers.smtp.hooks.smtp import SmtpHook
    from airflow.sdk.configuration import conf

    connection = conf.get("email", "email_conn_id", fallback=SmtpHook.default_conn_name) or SmtpHook.default_conn_name
    sent: list[Alert] = []
    try:
        with SmtpHook(smtp_conn_id=connection) as smtp:
            for alert in alerts:
                try:
                    smtp.send_email_smtp(to=list(to), subject=alert.subject, html_content=alert.html)
                    sent.append(alert)
                except Exception as error:
                    log.warning("The mail %r could not be sent: %s", alert.subject, error)
    except Exception as error:
        log.warning("No mail could be sent by the connection %s: %s: %s", connection, type(error).__name__, error)
    return sent
