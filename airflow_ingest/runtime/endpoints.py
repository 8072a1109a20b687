"""Where Spark runs: on this machine, started when needed, or behind a Spark Connect URL."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias
from urllib.parse import urlsplit

from airflow_ingest.runtime.errors import RuntimeProblem

MEMORY = "AIRFLOW_INGEST_SPARK_MEMORY"
CORES = "AIRFLOW_INGEST_SPARK_CORES"
IDLE_TIMEOUT = "AIRFLOW_INGEST_SPARK_IDLE_TIMEOUT"
START_TIMEOUT = "AIRFLOW_INGEST_SPARK_START_TIMEOUT"
PORT = "AIRFLOW_INGEST_SPARK_PORT"
DRIVERS = "AIRFLOW_INGEST_SPARK_DRIVERS"

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Embedded:
    """A Spark Connect server on this machine, which the first task starts and all tasks share.

    Tasks with equal settings share one server; a task with other settings gets another one. What is left out comes from
    the environment (`AIRFLOW_INGEST_SPARK_MEMORY`, `…_CORES`, `…_IDLE_TIMEOUT`, `…_START_TIMEOUT`, `…_PORT`,
    `…_DRIVERS`).

    - `memory`: the JVM's heap, such as `2g`
    - `cores`: how many tasks Spark runs at once, or `*` for all cores
    - `idle_timeout`: how long the server stays up without a client
    - `start_timeout`: how long a client waits for it to come up
    - `port`: 0 takes any free one
    - `drivers`: the Maven coordinates of JDBC drivers, besides PostgreSQL's
    - `conf`: static Spark settings, fixed when the server starts; never shown, as they may hold secrets
    """

    memory: str = field(default_factory=lambda: os.environ.get(MEMORY, "2g"))
    cores: str = field(default_factory=lambda: os.environ.get(CORES, "*"))
    idle_timeout: timedelta = field(default_factory=lambda: _duration(IDLE_TIMEOUT, "15m"))
    start_timeout: timedelta = field(default_factory=lambda: _duration(START_TIMEOUT, "2m"))
    port: int = field(default_factory=lambda: _port(os.environ.get(PORT, "0")))
    drivers: tuple[str, ...] = field(default_factory=lambda: _words(DRIVERS))
    conf: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[1-9]\d*[kmgt]", self.memory, re.IGNORECASE):
            raise RuntimeProblem(f"Spark memory {self.memory!r} is not a size.", f"Write it as 2g or 1500m ({MEMORY}).")
        if not re.fullmatch(r"\*|[1-9]\d*", self.cores):
            raise RuntimeProblem(f"Spark cores {self.cores!r} is not a number.", f"Write a number or * ({CORES}).")


@dataclass(frozen=True)
class Connect:
    """A Spark Connect server that runs elsewhere: `sc://host:port/;token=…`. Its parameters are never shown."""

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme != "sc" or not urlsplit(self.url).hostname:
            raise RuntimeProblem(
                f"{self.url.split(';')[0]!r} is not a Spark Connect URL.",
                "Write it as sc://host:port, such as sc://spark.example.com:15002.",
            )

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 15002

    @property
    def address(self) -> str:
        """The URL without parameters: safe to show."""
        return f"sc://{self.host}:{self.port}"


Endpoint: TypeAlias = Embedded | Connect


def parse_duration(text: str, where: str) -> timedelta:
    """`30s`, `5m`, `2h` or `1d` as a timedelta; raises `RuntimeProblem` that names `where` it was written."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if not match:
        raise RuntimeProblem(f"{where}: {text!r} is not a duration.", "Write it as 30s, 5m, 2h or 1d.")
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def _duration(variable: str, default: str) -> timedelta:
    return parse_duration(os.environ.get(variable, default), variable)


def _words(variable: str) -> tuple[str, ...]:
    return tuple(os.environ.get(variable, "").replace(",", " ").split())


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise RuntimeProblem(f"{PORT}: {text!r} is not a port.", "Write a number up to 65535, or 0 for any free port.")
    return int(text)
