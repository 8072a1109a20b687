"""Waiting for a Delta table to change, by its log alone."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, ObjectStoragePath

from airflow_ingest._context import run_info
from airflow_ingest.sensors._waiting import Asking

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.lakehouse.log import Commit

log = logging.getLogger(__name__)
_LOOK_BACK = 50


class DeltaTableSensor(Asking, BaseSensorOperator):
    """Wait until a Delta table has rows that another table has not been loaded with. No Spark is needed for it.

    A backfill, and a run for a date, wait only until the table is there. Both logs must be readable from where the
    sensor runs: on its machine, or by Airflow's ObjectStoragePath.

    :param path: where the table lies: a folder or a URL
    :param loaded: where the bronze lies whose last load counts; left out, the table must only be there
    :param timeout, on_timeout, poke_interval, mode, deferrable: as for `SourceFileSensor`
    """

    template_fields = ("path", "loaded")
    ui_color = "#e6f1f2"
    condition = "airflow_ingest.sensors.delta:has_news"

    def __init__(self, *, path: str, loaded: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.loaded = loaded

    def question(self, context: Context) -> dict[str, Any]:
        """What the function is asked."""
        run = run_info(context)
        return {"path": self.path, "loaded": None if run.in_its_lane else self.loaded, "run_id": run.run_id}

    def missing(self) -> str:
        """The table that has not changed."""
        since = f" since {self.loaded} was loaded" if self.loaded else ""
        return f"{self.path} has still no news{since}, after {self.timeout:.0f} s."


def has_news(path: str, loaded: str | None, run_id: str) -> bool:
    """Whether the table at `path` has changed since another run than `run_id` loaded the one at `loaded`.

    That load's version of it counts if it took one, else the time of its commit.
    """
    from airflow_ingest.lakehouse.log import in_effect, read_log

    commits = read_log(_folder(path), _LOOK_BACK)
    newest = next((commit for commit in commits if commit.changes_rows), commits[-1] if commits else None)
    if newest is None:
        log.info("%s: no Delta table there yet", path)
        return False
    before = in_effect(read_log(_folder(loaded), _LOOK_BACK)) if loaded else ()
    last = next((commit for commit in before if _is_load(commit) and commit.metadata.get("run") != run_id), None)
    found = last is None or _is_newer(newest, last, path)
    log.info("%s: version %d, %s", path, newest.version, "news" if found else "which is loaded")
    return found


def _is_load(commit: Commit) -> bool:
    return commit.metadata.get("batch") is not None


def _is_newer(newest: Commit, last: Commit, path: str) -> bool:
    versions = last.metadata["batch"].get("versions")
    if versions and versions["path"] == str(_folder(path)):
        return newest.version > int(versions["to"])
    return newest.at is not None and last.at is not None and newest.at > last.at


def _folder(path: str) -> Any:
    local = path.removeprefix("file://") if path.startswith("file:///") else path
    return ObjectStoragePath(local.rstrip("/")) if "://" in local else Path(local).expanduser().absolute()
