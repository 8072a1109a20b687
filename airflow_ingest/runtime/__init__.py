"""How a task gets its Spark: on this machine, started when needed, or through Spark Connect."""

from airflow_ingest.runtime.diagnosis import Check, checks
from airflow_ingest.runtime.embedded import ServerStatus, server_status, start_server, stop_server
from airflow_ingest.runtime.endpoints import Connect, Embedded, Endpoint, parse_duration
from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.sessions import end_with_process, get_session, import_client, session

__all__ = [
    "Check",
    "Connect",
    "Embedded",
    "Endpoint",
    "RuntimeProblem",
    "ServerStatus",
    "checks",
    "end_with_process",
    "get_session",
    "import_client",
    "parse_duration",
    "server_status",
    "session",
    "start_server",
    "stop_server",
]
