"""`python -m airflow_ingest.runtime.prefetch`: download what a server needs, so that the first task need not."""

import sys

from airflow_ingest.runtime.endpoints import Embedded
from airflow_ingest.runtime.errors import RuntimeProblem
from airflow_ingest.runtime.jars import delta_jars, driver_jars


def main() -> int:
    """Download what is missing; 0 if everything is there, else 1 and the reason on stderr."""
    try:
        jars = delta_jars()
        driver_jars(Embedded().drivers)
    except RuntimeProblem as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    sys.stdout.write(f"Delta's jars are in {jars[0].parents[3]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
