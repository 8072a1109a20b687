"""Reading a Delta table's log: who committed what, newest first.

Where Spark works on this machine's files, the commit files are read as they are
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md#delta-log-entries), in about a millisecond; elsewhere Spark
reads them (DESCRIBE HISTORY), which is a job. Both give the same commits.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_ingest.lakehouse.sql import table as sql_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHARED_FILES = "spark.airflow_ingest.shared_files"
"""A server setting, true where Spark's own files are those of this process: the embedded server has it."""
LOOK_BACK = 50
"""Commits that are read first to find what every load of a table tells."""
_KEEPS_ROWS = frozenset(
    (
        "OPTIMIZE",
        "VACUUM START",
        "VACUUM END",
        "CLUSTER BY",
        "REORG",
        "SET TBLPROPERTIES",
        "UNSET TBLPROPERTIES",
        "CHANGE COLUMN",
        "CHANGE COLUMNS",
    )
)


@dataclass(frozen=True)
class Commit:
    """One commit of a table, made `at` a time: what its writer put beside the data, and what Delta counted.

    `restored` is the version that a RESTORE went back to; -1 if it was asked for by time.
    """

    version: int
    operation: str
    metadata: Mapping[str, Any]
    metrics: Mapping[str, int] = field(default_factory=dict)
    restored: int | None = None
    at: datetime | None = field(default=None, compare=False)

    @property
    def transaction(self) -> tuple[str | None, int | None]:
        """The transaction id that its writer gave it: application and version."""
        return self.metadata.get("application"), self.metadata.get("transaction")

    @property
    def changes_rows(self) -> bool:
        """Whether the table can hold other rows after it than before: not after maintenance."""
        return self.operation not in _KEEPS_ROWS


def history(spark: SparkSession, path: str, limit: int) -> list[Commit]:
    """The last `limit` commits of the table at `path`, newest first; none if there is no table."""
    folder = _shared_folder(spark, path)
    return _from_spark(spark, path, limit) if folder is None else list(_from_files(folder / "_delta_log", limit))


def read_log(folder: Any, limit: int) -> list[Commit]:
    """The last `limit` commits of the table in `folder`, newest first, read without Spark.

    `folder` is a Path, or something that walks and opens like one; none are found where it has no log.
    """
    return list(_from_files(folder / "_delta_log", limit))


def own_history(spark: SparkSession, path: str) -> list[Commit]:
    """The newest commits, as far back as loads tell of themselves: others' may stand before them."""
    commits = history(spark, path, LOOK_BACK)
    if len(commits) == LOOK_BACK and not any("application" in commit.metadata for commit in commits):
        commits = history(spark, path, commits[0].version + 1)
    return commits


def commits_after(spark: SparkSession, path: str, version: int) -> list[Commit]:
    """The commits above `version`, newest first, as far as the log still has them."""
    folder = _shared_folder(spark, path)
    if folder is not None:
        return list(takewhile(lambda commit: commit.version > version, _from_files(folder / "_delta_log", sys.maxsize)))
    commits = _from_spark(spark, path, LOOK_BACK)
    if len(commits) == LOOK_BACK and commits[-1].version > version + 1:
        commits = _from_spark(spark, path, commits[0].version - version)
    return [commit for commit in commits if commit.version > version]


def others_among(commits: Iterable[Commit], before: int, own: int) -> bool:
    """Whether another writer's rows were published after version `before` and ahead of `own`.

    A version that is not among `commits` counts as one.
    """
    between = [commit for commit in commits if before < commit.version < own]
    return len(between) < own - before - 1 or any(commit.changes_rows for commit in between)


@dataclass(frozen=True)
class Published:
    """`version` is the newest version of a table; `rows` the one since which its rows are what they are.

    They differ after maintenance. Loads compare `rows`, and read `version`: an older one may be vacuumed, and beyond
    the table's retention Delta reads none but the newest. `at` is when `rows` was committed, which tells the
    versions of a table from those of one that was made anew in its place.
    """

    version: int
    rows: int
    at: datetime | None = None


def published(spark: SparkSession, path: str) -> Published | None:
    """What is published at `path`; None if there is no table."""
    commits = history(spark, path, 1)
    if commits and not commits[0].changes_rows:
        commits = history(spark, path, LOOK_BACK)
        if not any(commit.changes_rows for commit in commits) and commits[-1].version > 0:
            commits = history(spark, path, commits[0].version + 1)
    if not commits:
        return None
    changed = next((commit for commit in commits if commit.changes_rows), commits[-1])
    return Published(commits[0].version, changed.version, changed.at)


def in_effect(commits: Iterable[Commit]) -> Iterator[Commit]:
    """Those of `commits`, newest first, that no RESTORE has undone."""
    ceiling: int | None = None
    for commit in commits:
        if ceiling is None or commit.version <= ceiling:
            yield commit
            ceiling = commit.restored if commit.restored is not None else ceiling


def told(commits: Iterable[Commit], key: str) -> Any:
    """What the first of `commits` that says something of `key` says of it; None if none does."""
    return next((commit.metadata[key] for commit in commits if commit.metadata.get(key) is not None), None)


def rows_put(metrics: Mapping[str, int]) -> int:
    """How many rows a write has put into a table.

    Where a file held other rows beside those that gave way, Delta copies them, and counts them as written too.
    """
    return metrics.get("numOutputRows", 0) - metrics.get("numCopiedRows", 0)


def bytes_put(metrics: Mapping[str, int]) -> int | None:
    """How large the files are that a commit has added, with the rows that Delta copied; None where it does not tell."""
    return metrics.get("numOutputBytes", metrics.get("numTargetBytesAdded"))


def is_missing_table(error: Exception) -> bool:
    """Whether `error` says that there is no Delta table at a path."""
    text = str(error)
    return any(name in text for name in _MISSING)


_MISSING = (
    "DELTA_MISSING_DELTA_TABLE",
    "DELTA_TABLE_NOT_FOUND",
    "DELTA_TABLE_ONLY_OPERATION",
    "DELTA_PATH_DOES_NOT_EXIST",
    "PATH_NOT_FOUND",
)


def is_feed_gone(error: Exception) -> bool:
    """Whether `error` says that the changes between two versions were not recorded, or are not there any more."""
    text = str(error)
    return any(name in text for name in _FEED_IS_GONE)


_FEED_IS_GONE = (
    "DELTA_MISSING_CHANGE_DATA",
    "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE",
    "DELTA_CHANGE_TABLE_FEED_DISABLED",
    "DELTA_VERSION_NOT_FOUND",
    "DELTA_FILE_NOT_FOUND",
    "DELTA_LOG_FILE_NOT_FOUND",
    "DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION",
    "PATH_NOT_FOUND",
    "FAILED_READ_FILE.FILE_NOT_EXIST",
    "VersionNotFoundException",
    "FileNotFoundException",
)


def _shared_folder(spark: SparkSession, path: str) -> Path | None:
    local = path.removeprefix("file://") if path.startswith("file:///") else path
    return Path(local) if "://" not in local and _shares_files(spark) else None


@lru_cache(maxsize=8)
def _shares_files(spark: SparkSession) -> bool:
    return spark.conf.get(SHARED_FILES, "false") == "true"


def _from_files(log: Any, limit: int) -> Iterator[Commit]:
    newest = _newest(log)
    for version in range(newest, max(-1, newest - limit), -1):
        try:
            with _commit_file(log, version).open(encoding="utf-8") as lines:
                found = next((line for line in lines if line.startswith('{"commitInfo"')), "{}")
        except FileNotFoundError:
            return  # older ones were cleaned up
        info: Mapping[str, Any] = json.loads(found).get("commitInfo", {})
        yield _commit(
            version,
            info.get("operation", ""),
            info.get("userMetadata"),
            info.get("operationMetrics"),
            info.get("operationParameters"),
            info.get("timestamp"),
        )


def _newest(log: Any) -> int:
    """The newest version in `log`, or -1: found from the last checkpoint on, so that a long log costs no more."""
    try:
        version = int(json.loads((log / "_last_checkpoint").read_text())["version"])
    except (OSError, ValueError, KeyError):
        version = 0
    if not _commit_file(log, version).exists():
        version = max((int(file.stem) for file in log.glob("*.json") if file.stem.isdigit()), default=-1)
    while _commit_file(log, version + 1).exists():
        version += 1
    return version


def _commit_file(log: Any, version: int) -> Any:
    return log / f"{version:020d}.json"


def _from_spark(spark: SparkSession, path: str, limit: int) -> list[Commit]:
    try:
        rows = (
            spark.sql(f"DESCRIBE HISTORY {sql_table(path)} LIMIT {limit:d}")
            .selectExpr(
                "version",
                "operation",
                "userMetadata",
                "operationMetrics",
                "operationParameters",
                "unix_millis(timestamp)",
            )
            .collect()
        )
    except Exception as error:
        if is_missing_table(error):
            return []
        raise
    return [_commit(*row) for row in rows]


def _commit(
    version: int,
    operation: str,
    metadata: str | None,
    metrics: Mapping[str, str] | None,
    parameters: Mapping[str, Any] | None,
    milliseconds: int | None,
) -> Commit:
    restored = _version((parameters or {}).get("version")) if operation == "RESTORE" else None
    at = None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
    return Commit(version, operation, _metadata(metadata), _metrics(metrics), restored, at)


def _version(parameter: Any) -> int:
    return int(parameter) if str(parameter).isdigit() else -1


def _metadata(text: str | None) -> Mapping[str, Any]:
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _metrics(raw: Mapping[str, Any] | None) -> Mapping[str, int]:
    """The whole numbers among them: Delta writes text, other writers numbers and more."""
    return {key: int(value) for key, value in (raw or {}).items() if str(value).lstrip("-").isdigit()}
