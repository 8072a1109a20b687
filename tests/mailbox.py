"""A real SMTP server that keeps what it is sent."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from airflow_ingest.testing.settings import choose_port


@dataclass(frozen=True)
class Mail:
    """A mail that arrived: to whom, when, and what it says."""

    to: tuple[str, ...]
    at: datetime
    subject: str
    body: str


@dataclass
class Mailbox:
    """What has arrived so far at `port` of the loopback. A mail with `refused` in its subject is not taken."""

    port: int = 0
    refused: str = ""
    mails: list[Mail] = field(default_factory=list)

    @property
    def subjects(self) -> list[str]:
        """The subjects, as they came."""
        return [mail.subject for mail in self.mails]

    def connection(self, **extra: Any) -> str:
        """An Airflow connection to it, as the value of an environment variable."""
        plain = {"disable_ssl": True, "disable_tls": True, "from_email": "ingest@example.com", "timeout": 5}
        extra = {**plain, "retry_limit": 1, **extra}
        return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": self.port, "extra": extra})

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by the server."""
        content = envelope.content
        assert isinstance(content, bytes)
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        if self.refused and self.refused in str(message["Subject"]):
            return "452 no room for another mail"
        body = message.get_body(("html", "plain"))
        text = body.get_content() if body else ""
        mail = Mail(tuple(envelope.rcpt_tos), datetime.now(timezone.utc), str(message["Subject"]), text)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mailbox(box: Mailbox | None = None, **server: Any) -> Iterator[Mailbox]:
    """A server on a free port, with further arguments of aiosmtpd's."""
    box = box or Mailbox()
    box.port = choose_port(None)
    controller = Controller(box, "127.0.0.1", box.port, **server)
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def tls(certificate: Path) -> ssl.SSLContext:
    """What a server on loopback needs to offer STARTTLS; its certificate is written where clients can find it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    certificate.write_bytes(signed.public_bytes(Encoding.PEM))
    secret = certificate.with_suffix(".key")
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, secret)
    return context
