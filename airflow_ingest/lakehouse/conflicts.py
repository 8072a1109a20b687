"""Two writers on one table: Delta lets one of them commit, and the other plans again.

Nobody locks. A step that loses is done again from the start, so that it plans on what the winner published:
https://docs.delta.io/concurrency-control/
"""

from __future__ import annotations

import json
import logging
import random
import re
import time
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from airflow_ingest.lakehouse.errors import ConflictError, TypesWidened
from airflow_ingest.lakehouse.spark_errors import error_class

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake

P = ParamSpec("P")
T = TypeVar("T")
Step = Callable[Concatenate["SparkSession", "Lake", str, P], T]

ATTEMPTS = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 20.0
_CONFLICTS = (
    "DELTA_CONCURRENT_",
    "DELTA_METADATA_CHANGED",
    "DELTA_PROTOCOL_CHANGED",
    "DELTA_MAX_COMMIT_RETRIES_EXCEEDED",
)

log = logging.getLogger(__name__)


def replanned(step: Step[P, T]) -> Step[P, T]:
    """`step`, done again from the start when another writer's commit got in its way, at most `ATTEMPTS` times in all.

    The pauses between grow exponentially and are drawn at random, so that two losers do not meet again. A step that has
    widened its table is done again at once. Raises ConflictError that names both sides when it has lost every time.
    """

    @wraps(step)
    def attempts(spark: SparkSession, lake: Lake, name: str, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return step(spark, lake, name, *args, **kwargs)
            except TypesWidened as widened:
                if attempt == ATTEMPTS:
                    raise
                log.info("%s", widened)
                continue
            except Exception as error:
                kind = error_class(error)
                if not is_conflict(error):
                    raise
                ours = f"{lake.pipeline}.{name}, {step.__name__}"
                if attempt == ATTEMPTS:
                    raise ConflictError(
                        f"{ours}: another writer's commit came first {ATTEMPTS} times ({kind or error}). The last one "
                        f"was {winner(error)}. This step is not done. Run the task again when the other is "
                        "done, or keep the two apart (a pool with one slot, another schedule)."
                    ) from error
                log.warning("%s: %s came first (%s); planning again", ours, winner(error), kind or error)
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**attempt)))  # noqa: S311
        raise AssertionError("unreachable")

    return attempts


def is_conflict(error: BaseException) -> bool:
    """Whether `error` says that another writer's commit came first."""
    return isinstance(error, ConflictError) or error_class(error).startswith(_CONFLICTS)


def winner(error: BaseException) -> str:
    """Who made the commit that Delta's message tells of."""
    found = re.search(r"Conflicting commit: (\{.*\})", str(error))
    try:
        commit = json.loads(found.group(1)) if found else {}
        told = json.loads(commit.get("userMetadata") or "{}")
    except ValueError:
        commit, told = {}, {}
    operation = commit.get("operation", "a commit of another writer")
    names = ("pipeline", "table", "layer", "run") if isinstance(told, dict) else ()
    by = ", ".join(f"{name} {told[name]}" for name in names if told.get(name))
    return f"{operation} by {by}" if by else f"{operation}"
