"""Mails through Airflow's SMTP connection, to a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.notifications.alert import Alert, RunLabel
from airflow_ingest.notifications.mail import send_mails
from tests.mailbox import Mailbox, mailbox, tls

RUN = RunLabel("shop", "scheduled__2026-01-01T00:00:00+00:00", "scheduled")
ALERT = Alert("failure", "critical", RUN, "orders failed", ("orders: <b>{{ bad }}</b> & worse",), "Look.", ("orders",))
OTHER = Alert("recovered", "info", RUN, "well again")


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mailbox() as box:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", box.connection())
        yield box


def test_one_mail_for_each_alert_to_all_who_are_named(box: Mailbox) -> None:
    assert send_mails(["a@example.com", "b@example.com"], [ALERT, OTHER]) == [ALERT, OTHER]

    assert box.subjects == ["[critical] shop: orders failed", "[info] shop: well again"]
    assert {mail.to for mail in box.mails} == {("a@example.com", "b@example.com")}


def test_nothing_in_it_is_taken_for_html_or_for_a_template(box: Mailbox) -> None:
    send_mails(["a@example.com"], [ALERT])

    (mail,) = box.mails
    assert "<li>orders: &lt;b&gt;{{ bad }}&lt;/b&gt; &amp; worse</li>" in mail.body
    assert "/dags/shop/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00'>Open the run" in mail.body


def test_the_connection_is_the_one_that_airflow_sends_mails_by(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_MAIL", box.connection(from_email="other@example.com"))
    monkeypatch.delenv("AIRFLOW_CONN_SMTP_DEFAULT")
    monkeypatch.setenv("AIRFLOW__EMAIL__EMAIL_CONN_ID", "other_mail")

    assert send_mails(["a@example.com"], [ALERT]) == [ALERT]


def test_a_server_that_wants_starttls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "mail.pem"
    offered = tls(certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mailbox(tls_context=offered, require_starttls=True) as box:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", box.connection(disable_tls=False))
        assert send_mails(["a@example.com"], [ALERT]) == [ALERT]
        assert box.subjects == [ALERT.subject]
        with pytest.raises(Exception, match="already using TLS"):
            asyncio.run(_asynchronously())


async def _asynchronously() -> None:
    """What the SMTP provider's own asynchronous way does there: once this works, deadlines need no thread."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    notifier = SmtpNotifier(to="a@example.com", subject="late", html_content="late")
    notifier.context = {}
    await notifier


@pytest.mark.parametrize("connection", ["down", "missing"])
def test_a_broken_mail_server_is_logged_and_raised_to_nobody(
    connection: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if connection == "down":
        with mailbox() as gone:
            monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", gone.connection())

    assert send_mails(["a@example.com"], [ALERT, OTHER]) == []
    assert "No mail could be sent by the connection smtp_default: " in caplog.text


def test_a_mail_that_is_refused_does_not_keep_the_next_back(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Picky(Mailbox):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            if b"critical" in envelope.content:
                return "550 no bad news"
            return await super().handle_DATA(server, session, envelope)

    with mailbox(Picky()) as box:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", box.connection())
        assert send_mails(["a@example.com"], [ALERT, OTHER]) == [OTHER]
    assert "no bad news" in caplog.text


def test_the_text_says_all_there_is() -> None:
    start, end = (datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2))
    run = RunLabel("shop", "r", "backfill", (start, end))
    alert = Alert("failure", "critical", run, "orders failed", ("it broke",), "Look.", more=(("deadline", "noon"),))

    lines = [line for line in alert.text.splitlines() if line]
    assert lines[:-1] == [
        "[critical] shop: orders failed",
        "pipeline: shop",
        "run: r (backfill)",
        "data interval: 2026-01-01 00:00:00 UTC to 2026-01-02 00:00:00 UTC",
        "deadline: noon",
        "- it broke",
        "Look.",
    ]
    assert lines[-1].endswith("/dags/shop/runs/r")
