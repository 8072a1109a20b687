"""Waiting for a source's files."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow.sdk import BaseSensorOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowSensorTimeout

from airflow_ingest._context import IntervalTemplates

if TYPE_CHECKING:
    from airflow.sdk import Context

_SHOWN = 5


class SourceFileSensor(IntervalTemplates, BaseSensorOperator):
    """Wait until a source's files are there, without a slot while it waits.

    :param files: a path or a glob on this machine, or a URL that Airflow's ObjectStoragePath can read; templated from
        the run's data interval
    :param timeout: how long to wait (seconds or a timedelta) before the task fails for good
    :param poke_interval: how long to wait between two looks (seconds or a timedelta)
    :param mode: `reschedule` frees the slot between two looks, `poke` keeps it
    :param conn_id: the Airflow connection for a URL
    """

    template_fields = ("files",)
    ui_color = "#e6f1f2"

    def __init__(self, *, files: str, mode: str = "reschedule", conn_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(mode=mode, **kwargs)
        self.files = files
        self.conn_id = conn_id

    def poke(self, context: Context) -> bool:
        """Look once."""
        found = list(islice(self._found(), _SHOWN))
        self.log.info("%s: %s", self.files, ", ".join(map(str, found)) if found else "not there yet")
        return bool(found)

    def execute(self, context: Context) -> Any:
        """Wait; raises AirflowSensorTimeout with the path that was looked for and with what is there instead."""
        try:
            return super().execute(context)
        except AirflowSensorTimeout:
            raise AirflowSensorTimeout(
                f"{self.files} is still not there after {self.timeout:.0f} s. {self._surroundings()} If the file comes "
                "later, raise `wait.timeout`; if it comes elsewhere, correct `source.files`; then clear this task."
            ) from None

    def _found(self) -> Iterable[Path | ObjectStoragePath]:
        path = _local(self.files)
        if path is None:
            return _remote(self.files, self.conn_id)
        if path.exists():
            return _visible(path.iterdir()) if path.is_dir() else [path]
        return _visible(map(Path, glob.iglob(str(path), recursive=True)))  # noqa: PTH207

    def _surroundings(self) -> str:
        path = _local(self.files)
        if path is None:
            return ""
        folder = next(parent for parent in path.parents if parent.is_dir())
        names = sorted(entry.name for entry in folder.iterdir())
        if not names:
            return f"The nearest folder, {folder}, is empty."
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return f"The nearest folder, {folder}, holds {', '.join(names[:_SHOWN])}{more}."


def _local(files: str) -> Path | None:
    if files.startswith("file:"):
        return Path(unquote(urlsplit(files).path))
    return None if "://" in files else Path(files).expanduser().absolute()


def _visible(paths: Iterable[Path]) -> Iterable[Path]:
    return (path for path in paths if path.is_file() and not path.name.startswith((".", "_")))


def _remote(files: str, conn_id: str | None) -> Iterable[ObjectStoragePath]:
    parts = files.split("/")
    fixed = list(takewhile(lambda part: not glob.has_magic(part), parts))
    path = ObjectStoragePath("/".join(fixed), conn_id=conn_id)
    if len(fixed) < len(parts):
        found: Iterable[ObjectStoragePath] = path.glob("/".join(parts[len(fixed) :]))
    elif path.is_dir():
        found = path.iterdir()
    else:
        found = [path]
    return (entry for entry in found if entry.is_file() and not entry.name.startswith((".", "_")))
