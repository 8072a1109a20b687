"""The embedded server's life, on real servers in a state folder of their own."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from airflow_ingest.runtime import (
    Connect,
    Embedded,
    RuntimeProblem,
    get_session,
    server_status,
    session,
    start_server,
    stop_server,
)

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("own_home")]

START = "from airflow_ingest.runtime import start_server; print(start_server().pid)"


def until(true: Callable[[], bool], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    return true()


def jvms(home: Path) -> list[int]:
    return [p.pid for p in psutil.process_iter() if any(f"@{home}" in word for word in cmdline(p))]


def cmdline(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []


def token() -> str:
    return start_server().url.rpartition("token=")[2]


@pytest.mark.slow
def test_two_processes_that_start_at_the_same_moment_start_one_server(own_home: Path) -> None:
    both = [subprocess.Popen([sys.executable, "-c", START], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].strip() for process in both]
    assert said[0] == said[1]
    assert jvms(own_home) == [int(said[0])] == [server.pid for server in server_status()]


def test_the_server_outlives_who_started_it() -> None:
    pid = int(
        subprocess.run([sys.executable, "-c", START], capture_output=True, text=True, timeout=120, check=True).stdout
    )
    supervisor = psutil.Process(pid).parent()
    assert supervisor is not None
    assert os.getsid(supervisor.pid) != os.getsid(0)
    assert start_server().pid == pid


def test_it_listens_on_the_loopback_interface_only() -> None:
    listening = [
        s.laddr.ip for s in psutil.Process(start_server().pid).net_connections() if s.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}


def test_nobody_gets_in_without_the_token() -> None:
    port = start_server().url.split(":")[2].split("/")[0]
    for url in (f"sc://localhost:{port}", f"sc://localhost:{port}/;token=wrong"):
        with pytest.raises(RuntimeProblem, match="refuses"):
            get_session(Connect(url))


def test_the_token_is_on_no_command_line_and_in_no_log() -> None:
    secret, status = token(), start_server()
    assert len(secret) > 20
    assert not [p.pid for p in psutil.process_iter() if any(secret in word for word in cmdline(p))]
    texts = [file.read_text() for file in status.log.parent.glob("*") if file.is_file() and file.name != "server.json"]
    assert not any(secret in text for text in texts)
    assert secret not in repr(status)


def test_its_folder_is_for_its_user_alone() -> None:
    folder = start_server().log.parent
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    for name in ("server.json", "java.args", "launch.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_a_jvm_that_was_killed_is_replaced() -> None:
    old = start_server().pid
    os.kill(old, signal.SIGKILL)
    assert until(lambda: not psutil.pid_exists(old))
    new = start_server().pid
    assert new != old
    assert psutil.pid_exists(new)
    assert not psutil.pid_exists(old)


@pytest.mark.slow
def test_a_jvm_whose_supervisor_was_killed_goes_too_and_is_replaced(own_home: Path) -> None:
    old = psutil.Process(start_server().pid)
    supervisor = old.parent()
    assert supervisor is not None
    supervisor.kill()
    assert until(lambda: not supervisor.is_running() or supervisor.status() == psutil.STATUS_ZOMBIE)
    new = start_server().pid
    assert new != old.pid
    assert jvms(own_home) == [new]


@pytest.mark.slow
def test_other_settings_get_another_server_and_equal_ones_the_same() -> None:
    one = start_server()
    other = start_server(Embedded(memory="600m"))
    assert other.pid != one.pid
    assert {server.pid for server in server_status()} == {one.pid, other.pid}
    assert start_server(Embedded(memory="600m")).pid == other.pid


def test_a_stale_state_with_the_id_of_another_process_harms_nobody() -> None:
    status = start_server()
    folder = status.log.parent
    left = (folder / "server.json").read_text()
    stop_server()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        (folder / "server.json").write_text(left.replace(f'"pid": {status.pid}', f'"pid": {bystander.pid}'))
        assert server_status() == ()
        assert start_server().pid not in (status.pid, bystander.pid)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.slow
def test_stop_ends_all_of_them(own_home: Path) -> None:
    start_server()
    stopped = stop_server()
    assert stopped
    assert server_status() == ()
    assert not jvms(own_home)
    assert stop_server() == ()


@pytest.mark.slow
def test_it_stops_when_idle_but_not_while_a_client_is_there(own_home: Path) -> None:
    settings = Embedded(idle_timeout=timedelta(seconds=2))
    with session(settings) as spark:
        pid = start_server(settings).pid
        spark.sql("SELECT reflect('java.lang.Thread', 'sleep', 4000L)").collect()
        time.sleep(4)
        assert spark.sql("SELECT 1").collect()
    assert until(lambda: not psutil.pid_exists(pid))
    assert server_status() == ()


def test_a_server_that_dies_at_its_start_says_why() -> None:
    with pytest.raises(RuntimeProblem, match=r"(?s)ended while it was starting.*server\.log.*[Tt]oo small"):
        start_server(Embedded(memory="1k"))


@pytest.mark.slow
def test_a_server_that_takes_too_long_says_where_to_look() -> None:
    with pytest.raises(RuntimeProblem, match=r"(?s)not come up within 0 s.*AIRFLOW_INGEST_SPARK_START_TIMEOUT"):
        start_server(Embedded(cores="1", start_timeout=timedelta(seconds=0.1)))


def test_a_taken_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RuntimeProblem, match=rf"Port {port} is taken.*\n.*AIRFLOW_INGEST_SPARK_PORT"):
            start_server(Embedded(port=port))
