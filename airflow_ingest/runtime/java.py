"""Finding the Java that Spark needs."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from airflow_ingest.runtime.errors import RuntimeProblem

SUPPORTED = (17, 21)
_REMEDY = (
    "Install Java 17 or 21 (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; macOS: brew install openjdk@17) "
    "or set JAVA_HOME to one that is already there."
)


@dataclass(frozen=True)
class Java:
    """An executable that runs, and its major version."""

    path: Path
    version: int


def java_path() -> Path:
    """The Java at `JAVA_HOME`, or else the one on the `PATH`. Raises `RuntimeProblem` if there is none."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin") if home else None)
    if found is None:
        where = f"JAVA_HOME={home} holds no bin/java" if home else "there is no java on the PATH"
        raise RuntimeProblem(f"Spark needs Java, but {where}.", _REMEDY)
    return Path(found)


def find_java() -> Java:
    """The Java that `java_path` names, tried. Raises `RuntimeProblem` if it does not run or is not of the right age."""
    path = java_path()
    try:
        answer = subprocess.run(  # noqa: S603
            [str(path), "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeProblem(f"Spark needs Java, but {path} does not run: {error}", _REMEDY) from error
    said = answer.stderr + answer.stdout
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None:
        raise RuntimeProblem(f"Spark needs Java, but {path} tells no version: {said.strip()[:200]!r}", _REMEDY)
    version = int(found[1])
    if version not in SUPPORTED:
        raise RuntimeProblem(f"Spark needs Java 17 or 21, but {path} is Java {version}.", _REMEDY)
    return Java(path, version)
