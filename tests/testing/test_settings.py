"""A local Airflow's settings: kept to itself, and to the loopback interface."""

import configparser
import socket
import stat
from pathlib import Path

import pytest

from airflow_ingest.testing.settings import PortTakenError, choose_port, write_settings


def _written(home: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(home / "airflow.cfg")
    return parser


def test_secrets_stay_the_same_in_one_home_and_differ_between_homes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    passwords = [write_settings(home, tmp_path, port=1, parallelism=1, schedule=True) for home in (one, one, other)]
    assert passwords[0] == passwords[1] != passwords[2]
    assert _written(one)["core"]["fernet_key"] != _written(other)["core"]["fernet_key"]


def test_secrets_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    write_settings(home, tmp_path, port=1, parallelism=1, schedule=True)
    files = list(home.iterdir())
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len(files) == 3


def test_a_path_with_a_percent_sign_survives(tmp_path: Path) -> None:
    dags = tmp_path / "100%(done)s"
    write_settings(tmp_path / "home", dags, port=1, parallelism=1, schedule=True)
    assert _written(tmp_path / "home")["core"]["dags_folder"] == str(dags)


def test_the_database_is_sqlite_unless_another_is_given(tmp_path: Path) -> None:
    url = "postgresql+psycopg2://me:a%2Fb@127.0.0.1/airflow"
    write_settings(tmp_path / "one", tmp_path, port=1, parallelism=1, schedule=True)
    write_settings(tmp_path / "two", tmp_path, port=1, parallelism=1, schedule=True, database=url)
    assert _written(tmp_path / "one")["database"]["sql_alchemy_conn"] == f"sqlite:///{tmp_path}/one/airflow.db"
    assert _written(tmp_path / "two")["database"]["sql_alchemy_conn"] == url


def test_airflow_listens_on_loopback_alone(tmp_path: Path) -> None:
    write_settings(tmp_path / "home", tmp_path, port=4711, parallelism=1, schedule=False)
    written = _written(tmp_path / "home")
    assert (written["api"]["host"], written["api"]["port"]) == ("127.0.0.1", "4711")
    assert written["scheduler"]["use_job_schedule"] == "False"


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port} on 127.0.0.1 cannot be used"):
            choose_port(port)


def test_a_free_port_is_found_and_a_wanted_one_kept() -> None:
    port = choose_port(None)
    assert choose_port(port) == port
