"""The settings and secrets of a local Airflow."""

from __future__ import annotations

import base64
import configparser
import json
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from airflow_ingest.config import IngestError

USERNAME = "admin"
_LOOPBACK = "127.0.0.1"


class PortTakenError(IngestError):
    """The port asked for is in use."""


def choose_port(wanted: int | None) -> int:
    """`wanted` if it can be had, or any free port of the loopback interface. Raises PortTakenError."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, wanted or 0))
        except OSError as error:
            raise PortTakenError(
                f"Port {wanted} on {_LOOPBACK} cannot be used ({error.strerror}). "
                "Stop what uses it, choose another, or leave it out: a free one is found then."
            ) from error
        return int(probe.getsockname()[1])


def write_settings(
    home: Path, dags_folder: Path, *, port: int, parallelism: int, schedule: bool, database: str | None = None
) -> str:
    """Writes `airflow.cfg` and the password file into `home`; returns the password of the user `admin`.

    Secrets are made at the first call and kept for the next, in files that only their owner can read.
    """
    home.mkdir(parents=True, exist_ok=True)
    secret = _secrets(home / "secrets.json")
    passwords = home / "passwords.json"
    _write_private(passwords, json.dumps({USERNAME: secret["password"]}))
    parser = configparser.RawConfigParser()
    parser.read_dict(_escaped(_sections(home, dags_folder, passwords, secret, port, parallelism, schedule, database)))
    with _private(home / "airflow.cfg") as file:
        parser.write(file)
    return secret["password"]


def _sections(
    home: Path,
    dags_folder: Path,
    passwords: Path,
    secret: Mapping[str, str],
    port: int,
    parallelism: int,
    schedule: bool,
    database: str | None,
) -> dict[str, dict[str, object]]:
    url = f"http://127.0.0.1:{port}"
    return {
        "core": {
            "dags_folder": dags_folder,
            "executor": "LocalExecutor",
            "parallelism": parallelism,
            "load_examples": False,
            "min_serialized_dag_update_interval": 2,
            "fernet_key": secret["fernet"],
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_users": f"{USERNAME}:admin",
            "simple_auth_manager_passwords_file": passwords,
        },
        "database": {
            "sql_alchemy_conn": database or f"sqlite:///{home / 'airflow.db'}",
            "load_default_connections": False,
        },
        "api": {"host": _LOOPBACK, "port": port, "base_url": url, "secret_key": secret["api"]},
        "api_auth": {"jwt_secret": secret["jwt"]},
        "logging": {"base_log_folder": home / "logs" / "tasks"},
        "scheduler": {"scheduler_idle_sleep_time": 0.1, "use_job_schedule": schedule},
        "dag_processor": {
            "refresh_interval": 2,
            "min_file_process_interval": 5,
            "parsing_processes": 1,
            "dag_bundle_storage_path": home / "bundles",
        },
        "usage_data_collection": {"enabled": False},
    }


def _escaped(sections: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, str]]:
    """Airflow reads `%` as the start of an interpolation."""
    return {
        name: {key: str(value).replace("%", "%%") for key, value in section.items()}
        for name, section in sections.items()
    }


def _secrets(file: Path) -> dict[str, str]:
    if not file.exists():
        fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        made = {name: secrets.token_urlsafe(32) for name in ("api", "jwt")}
        _write_private(file, json.dumps({**made, "fernet": fernet, "password": secrets.token_urlsafe(9)}))
    found: dict[str, str] = json.loads(file.read_text())
    return found


def _private(file: Path) -> TextIO:
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")


def _write_private(file: Path, text: str) -> None:
    with _private(file) as stream:
        stream.write(text)
