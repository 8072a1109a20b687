"""Spark's own jars, from pyspark; Delta's and those of databases, from Maven Central by Ivy (which pyspark carries)."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.sax.saxutils import quoteattr

from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.java import Java, find_java

DELTA_VERSION = "4.4.0"
DELTA_MODULES = ("delta-spark_4.2_2.13", "delta-storage", "delta-kernel-api", "delta-kernel-defaults")
POSTGRES_DRIVER = "org.postgresql:postgresql:42.7.10"
REPOSITORY = "AIRFLOW_INGEST_MAVEN_REPOSITORY"

_CENTRAL = "https://repo1.maven.org/maven2/"
_TELLING = ("Exception", "failed", "no answer", "unknown host", "UnknownHost", "HttpClientHandler")
_TIMEOUT = 600


@dataclass(frozen=True)
class Artifact:
    """One jar in a Maven repository."""

    group: str
    name: str
    version: str

    @classmethod
    def of(cls, coordinate: str) -> "Artifact":
        """The jar that `group:name:version` names. Raises `RuntimeProblem` if that is not what it is."""
        parts = coordinate.split(":")
        if len(parts) != 3 or not all(parts):
            raise RuntimeProblem(
                f"{coordinate!r} is not a Maven coordinate.", "Write it as org.postgresql:postgresql:42.7.10."
            )
        return cls(*parts)

    @property
    def path(self) -> Path:
        """Where Ivy keeps it."""
        return _cache() / self.group / self.name / "jars" / f"{self.name}-{self.version}.jar"


_DELTA = tuple(Artifact("io.delta", name, DELTA_VERSION) for name in DELTA_MODULES)


def spark_home() -> Path:
    """The folder of a pyspark that carries Spark's jars. Raises `RuntimeProblem` if only the client is installed."""
    spec = find_spec("pyspark")
    home = Path(spec.origin).parent if spec and spec.origin else None
    if home is None or not any(home.glob("jars/spark-connect_*.jar")):
        raise RuntimeProblem(
            "Spark's jars are not installed: this pyspark is only a client." if home else "pyspark is not installed.",
            "Run pip install 'airflow-ingest[embedded]', or make an Airflow connection of type spark_connect to a "
            "Spark that runs elsewhere.",
        )
    return home


def cached_delta_jars() -> tuple[Path, ...]:
    """Delta's jars in Ivy's cache; empty unless every one is there."""
    return _cached(_DELTA)


def delta_jars() -> tuple[Path, ...]:
    """Delta's jars, downloaded once into Ivy's cache (`~/.ivy2.5.2/cache`, which Spark itself uses).

    Takes `AIRFLOW_INGEST_MAVEN_REPOSITORY` instead of Maven Central where it is set. Raises `RuntimeProblem`.
    """
    return _fetched(
        _DELTA,
        f"Delta's jars (io.delta:{DELTA_MODULES[0]}:{DELTA_VERSION}) are",
        "The first start needs Maven Central.",
    )


def driver_jars(coordinates: Sequence[str] = ()) -> tuple[Path, ...]:
    """PostgreSQL's JDBC driver and those that `coordinates` (`group:name:version`) name, had as Delta's jars are.

    What they themselves depend on is left out. Raises `RuntimeProblem`.
    """
    named = [Artifact.of(coordinate) for coordinate in coordinates]
    ours = Artifact.of(POSTGRES_DRIVER)
    wanted = named if any((jar.group, jar.name) == (ours.group, ours.name) for jar in named) else [ours, *named]
    names = ", ".join(f"{jar.group}:{jar.name}:{jar.version}" for jar in wanted)
    return _fetched(wanted, f"Databases' drivers ({names}) are", "The first start needs Maven Central.")


def _cached(wanted: Sequence[Artifact]) -> tuple[Path, ...]:
    jars = tuple(artifact.path for artifact in wanted)
    return jars if all(jar.is_file() for jar in jars) else ()


def _fetched(wanted: Sequence[Artifact], what: str, why: str) -> tuple[Path, ...]:
    if jars := _cached(wanted):
        return jars
    said = _download(find_java(), spark_home(), wanted)
    if jars := _cached(wanted):
        return jars
    raise RuntimeProblem(
        f"{what} not here and cannot be had from {_repository()}:\n{_reason(said)}",
        f"{why} Give this machine access to it (through a proxy: JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=…), name a mirror "
        f"in {REPOSITORY}, or copy {_cache()} from a machine that has it.",
    )


def _download(java: Java, spark: Path, wanted: Sequence[Artifact]) -> str:
    """Let Ivy fill its cache; returns what it said."""
    with tempfile.TemporaryDirectory(prefix="airflow-ingest-ivy-") as name:
        folder = Path(name)
        (folder / "settings.xml").write_text(_settings())
        (folder / "ivy.xml").write_text(_module(wanted))
        command = [str(java.path), "-cp", f"{spark}/jars/*", "org.apache.ivy.Main", "-warn"]
        command += ["-settings", str(folder / "settings.xml"), "-ivy", str(folder / "ivy.xml")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)  # noqa: S603
        except subprocess.TimeoutExpired:
            return f"no answer within {_TIMEOUT} s"
        return done.stdout + done.stderr


def _cache() -> Path:
    return Path.home() / ".ivy2.5.2" / "cache"


def _repository() -> str:
    return os.environ.get(REPOSITORY, _CENTRAL).rstrip("/") + "/"


def _settings() -> str:
    return f"""<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir={quoteattr(str(_cache()))}/>
  <resolvers><ibiblio name="central" m2compatible="true" root={quoteattr(_repository())}/></resolvers>
</ivysettings>"""


def _module(wanted: Sequence[Artifact]) -> str:
    dependencies = "\n".join(
        f"<dependency org={quoteattr(jar.group)} name={quoteattr(jar.name)} rev={quoteattr(jar.version)} "
        'conf="default->master" transitive="false"/>'
        for jar in wanted
    )
    return f"""<ivy-module version="2.0">
  <info organisation="airflow-ingest" module="embedded" revision="1"/>
  <dependencies>{dependencies}</dependencies>
</ivy-module>"""


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line for word in _TELLING)]
    return "\n".join(f"  {line[:300]}" for line in dict.fromkeys(telling[:2] or lines[-6:]))
