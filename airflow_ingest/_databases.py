"""From an Airflow connection to a database: its URL, its login, its driver."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from airflow_ingest.config import IngestError, Jdbc
from airflow_ingest.lakehouse import Database

_POSTGRES = ("postgres", "postgresql")
_POSTGRES_EXTRAS = {
    **{name: name for name in ("sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "options")},
    **{name: name for name in ("currentSchema", "connectTimeout", "socketTimeout", "ApplicationName", "tcpKeepAlive")},
    "connect_timeout": "connectTimeout",
    "application_name": "ApplicationName",
}
_CLASSES = {
    "postgresql": "org.postgresql.Driver",
    "mysql": "com.mysql.cj.jdbc.Driver",
    "mariadb": "org.mariadb.jdbc.Driver",
    "sqlserver": "com.microsoft.sqlserver.jdbc.SQLServerDriver",
    "oracle": "oracle.jdbc.OracleDriver",
    "h2": "org.h2.Driver",
}


@dataclass(frozen=True)
class Connection:
    """What an Airflow connection says of a database."""

    conn_id: str
    conn_type: str
    host: str = ""
    port: int | None = None
    schema: str = ""
    login: str = ""
    password: str = field(default="", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def database_of(jdbc: Jdbc) -> Database:
    """The database that `source.jdbc` names, as Airflow knows its connection, which then masks the password in logs.

    Raises IngestError for a connection that is not there or cannot be used.
    """
    return _described(_connection_of_airflow(jdbc.conn_id))


def database_without_airflow(jdbc: Jdbc) -> Database:
    """As `database_of`, but a connection that the environment defines is read there, without importing Airflow."""
    return _described(connection_of_environment(jdbc.conn_id) or _connection_of_airflow(jdbc.conn_id))


def connection_of_environment(conn_id: str) -> Connection | None:
    """The connection that the environment defines, as a URI or as JSON; None if it does not."""
    text = os.environ.get(f"AIRFLOW_CONN_{conn_id.upper()}")
    if not text:
        return None
    try:
        return _of_json(conn_id, text) if text.lstrip().startswith("{") else _of_uri(conn_id, text)
    except (ValueError, TypeError, AttributeError):
        raise IngestError(
            f"AIRFLOW_CONN_{conn_id.upper()} is not a connection. Write it as postgres://user:password@host:5432/name, "
            "with special characters percent-encoded, or as Airflow's JSON."
        ) from None


def _of_uri(conn_id: str, text: str) -> Connection:
    parts = urlsplit(text)
    extra: dict[str, Any] = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra.update(json.loads(extra.pop("__extra__")))
    return Connection(
        conn_id,
        parts.scheme.replace("-", "_"),
        unquote(parts.hostname or ""),
        parts.port,
        unquote(parts.path.removeprefix("/")),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        extra,
    )


def _of_json(conn_id: str, text: str) -> Connection:
    data = json.loads(text)
    extra = data.get("extra") or {}
    return Connection(
        conn_id,
        str(data.get("conn_type", "")),
        data.get("host") or "",
        int(data["port"]) if data.get("port") else None,
        data.get("schema") or "",
        data.get("login") or "",
        data.get("password") or "",
        json.loads(extra) if isinstance(extra, str) else dict(extra),
    )


def _connection_of_airflow(conn_id: str) -> Connection:
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise IngestError(
            f"There is no Airflow connection {conn_id!r}. Create it (type Postgres), or set "
            f"AIRFLOW_CONN_{conn_id.upper()}=postgres://user:password@host:5432/name."
        ) from None
    return Connection(
        conn_id,
        found.conn_type or "",
        found.host or "",
        found.port,
        found.schema or "",
        found.login or "",
        found.password or "",
        found.extra_dejson,
    )


def _described(connection: Connection) -> Database:
    login = {key: value for key, value in (("user", connection.login), ("password", connection.password)) if value}
    if connection.conn_type in _POSTGRES:
        host = connection.host or "localhost"
        where = f"[{host}]" if ":" in host else host
        url = f"jdbc:postgresql://{where}:{connection.port or 5432}/{connection.schema}"
        extra = connection.extra
        known = {ours: str(extra[theirs]) for theirs, ours in _POSTGRES_EXTRAS.items() if theirs in extra}
        return Database(connection.conn_id, url, {**known, **login}, _CLASSES["postgresql"])
    if connection.conn_type == "jdbc" and connection.host.startswith("jdbc:"):
        kind = connection.host.split(":", 2)[1]
        driver = str(connection.extra.get("driver_class") or _CLASSES.get(kind, ""))
        if driver:
            return Database(connection.conn_id, connection.host, login, driver)
        raise IngestError(
            f"The Airflow connection {connection.conn_id!r} leads to a {kind} database, whose driver is not known. "
            'Name its class in the connection\'s extra: {"driver_class": "com.example.Driver"}.'
        )
    raise IngestError(
        f"The Airflow connection {connection.conn_id!r} has the type {connection.conn_type!r}, which is no database "
        "that can be read here. Use one of type postgres, or of type jdbc with the JDBC URL as its host."
    )
