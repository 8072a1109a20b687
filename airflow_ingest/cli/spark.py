"""`spark status|start|stop`: the embedded servers of this user."""

from datetime import datetime, timezone

from airflow_ingest.cli.console import notes, results
from airflow_ingest.runtime import ServerStatus, server_status, start_server, stop_server

__all__ = ["start", "status", "stop"]


def status() -> int:
    """Describe the servers that run. Returns 1 if there is none."""
    servers = server_status()
    for server in servers:
        _describe(server)
    if not servers:
        results().print("No Spark server runs. The next task starts one; so does `airflow-ingest spark start`.")
    return 0 if servers else 1


def start() -> None:
    """Start the server unless it runs. Raises RuntimeProblem."""
    with notes().status("Starting Spark …"):
        server = start_server()
    _describe(server)


def stop() -> None:
    """Stop every server. Raises RuntimeProblem if one does not stop."""
    stopped = stop_server()
    for server in stopped:
        results().print(f"Stopped {server.address} (process {server.pid}).", markup=False)
    if not stopped:
        results().print("No Spark server runs.")


def _describe(server: ServerStatus) -> None:
    minutes = (datetime.now(timezone.utc) - server.started).total_seconds() / 60
    results().print(
        f"{server.address} is up: process {server.pid}, for {minutes:.0f} min, {server.clients} clients\n"
        f"log: {server.log}",
        markup=False,
    )
