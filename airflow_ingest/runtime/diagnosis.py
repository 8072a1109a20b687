"""What the embedded server needs, checked one by one: for `airflow-ingest doctor`."""

from collections.abc import Callable
from dataclasses import dataclass

from airflow_ingest.runtime.embedded import server_status
from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.jars import DELTA_VERSION, delta_jars, spark_home
from airflow_ingest.runtime.java import find_java
from airflow_ingest.runtime.state import check_home


@dataclass(frozen=True)
class Check:
    """One thing looked at: `detail` says what was found, `remedy` what to do if it is not `ok`."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def checks() -> list[Check]:
    """Look at all that an embedded Spark needs; downloads Delta's jars if they are not here yet. Never raises."""
    wanted: tuple[tuple[str, Callable[[], str]], ...] = (
        ("Java", _java),
        ("Spark", _spark),
        ("Delta Lake", _delta),
        ("State folder", _home),
        ("Embedded server", _server),
    )
    return [_checked(name, look) for name, look in wanted]


def _checked(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except RuntimeProblem as found:
        return Check(name, False, found.problem, found.remedy)


def _java() -> str:
    java = find_java()
    return f"Java {java.version} at {java.path}"


def _spark() -> str:
    home = spark_home()
    version = next(home.glob("jars/spark-core_*.jar")).stem.rsplit("-", 1)[1]
    return f"Spark {version} in {home}"


def _delta() -> str:
    return f"Delta Lake {DELTA_VERSION} in {delta_jars()[0].parents[3]}"


def _home() -> str:
    return str(check_home())


def _server() -> str:
    running = server_status()
    if not running:
        return "not running; the first task starts it"
    return ", ".join(f"{server.address}, process {server.pid}, {server.clients} clients" for server in running)
