"""What `doctor` looks at. A check returns what it found, or raises RuntimeProblem with the remedy."""

import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from airflow_ingest.runtime import Embedded, RuntimeProblem, server_status
from airflow_ingest.runtime.endpoints import PORT
from airflow_ingest.runtime.jars import DELTA_VERSION, REPOSITORY, cached_delta_jars, spark_home
from airflow_ingest.runtime.java import find_java

__all__ = ["CHECKS", "Check"]

_TIMEOUT = 10.0
_CENTRAL = "https://repo1.maven.org/maven2/"
_PYPI = "https://pypi.org/simple/"


@dataclass(frozen=True)
class Check:
    """One thing to look at; `needed` says whether a run fails without it."""

    name: str
    look: Callable[[], str]
    needed: bool = True


def python() -> str:
    """The interpreter that runs this."""
    found = ".".join(map(str, sys.version_info[:3]))
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        raise RuntimeProblem(f"Python is {found}.", "Use Python 3.10 to 3.13: uv venv --python 3.11, for one.")
    return found


def airflow() -> str:
    """Airflow, as its metadata tells: importing it takes seconds."""
    try:
        found = version("apache-airflow")
    except PackageNotFoundError:
        raise RuntimeProblem("Airflow is not installed.", "pip install 'apache-airflow>=3.3,<4'") from None
    major, minor = (int(part) for part in found.split(".")[:2])
    if not (3, 3) <= (major, minor) < (4, 0):
        raise RuntimeProblem(f"Airflow is {found}.", "pip install 'apache-airflow>=3.3,<4'")
    return found


def java() -> str:
    """The Java that the embedded server would use."""
    found = find_java()
    return f"{found.version} at {found.path}"


def spark() -> str:
    """Spark's jars, which the embedded server runs on, and that they fit its client."""
    home = spark_home()
    full, client = version("pyspark"), version("pyspark-client")
    if full != client:
        raise RuntimeProblem(
            f"pyspark is {full} and pyspark-client is {client}: they overwrite each other's files.",
            f"pip install --force-reinstall pyspark=={client} pyspark-client=={client}",
        )
    return f"{full} at {home}"


def delta() -> str:
    """Delta's jars: here already, or within reach."""
    if jars := cached_delta_jars():
        return f"{DELTA_VERSION} at {jars[0].parent}"
    repository = os.environ.get(REPOSITORY, _CENTRAL)
    _reach(repository, f"Name a mirror in {REPOSITORY}, or give this machine access to Maven Central (a proxy, say).")
    return f"{DELTA_VERSION} will be downloaded from {repository}"


def port() -> str:
    """The port that the embedded server would listen on."""
    wanted = Embedded().port
    if wanted and any(server.address.endswith(f":{wanted}") for server in server_status()):
        return f"{wanted}, on which the server runs"
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise RuntimeProblem(
                f"Port {wanted} cannot be had: {error.strerror}.", f"Free it, or unset {PORT}."
            ) from error
    return str(wanted) if wanted else "any free one"


def pypi() -> str:
    """PyPI, which the set-up needs and a run does not."""
    _reach(_PYPI, "Set-up and upgrades need it: check the network, or set HTTPS_PROXY or UV_INDEX_URL.")
    return _PYPI


def _reach(url: str, remedy: str) -> None:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_TIMEOUT).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # it answers
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RuntimeProblem(f"{url} cannot be reached: {reason}.", remedy) from error


CHECKS = (
    Check("Python", python),
    Check("Airflow", airflow),
    Check("Java", java),
    Check("Spark", spark),
    Check("Delta Lake", delta),
    Check("port", port),
    Check("PyPI", pypi, needed=False),
)
