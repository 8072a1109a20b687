"""Which files are there: on this machine, or where Airflow's ObjectStoragePath can look."""

from __future__ import annotations

import glob
import logging
from collections.abc import Iterable, Sequence
from itertools import islice, takewhile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from airflow.sdk import ObjectStoragePath

log = logging.getLogger(__name__)
SHOWN = 5


def all_there(files: Sequence[str], marker: str | None = None, conn_id: str | None = None) -> bool:
    """Whether every path or glob of `files` leads to a file, and `marker` lies in the folder of each."""
    return all(_is_there(pattern, marker, conn_id) for pattern in files)


def surroundings(pattern: str) -> str:
    """What is there in the place of `pattern`, for a message; nothing of what is not on this machine."""
    path = _local(pattern)
    if path is None:
        return ""
    folder = next(parent for parent in path.parents if parent.is_dir())
    names = sorted(entry.name for entry in folder.iterdir())
    if not names:
        return f"The nearest folder, {folder}, is empty."
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"The nearest folder, {folder}, holds {', '.join(names[:SHOWN])}{more}."


def _is_there(pattern: str, marker: str | None, conn_id: str | None) -> bool:
    found = _found(pattern, conn_id)
    if marker is None:
        first = list(islice(found, SHOWN))
        log.info("%s: %s", pattern, ", ".join(map(str, first)) if first else "not there yet")
        return bool(first)
    folders = {path.parent for path in found}
    unmarked = sorted(str(folder) for folder in folders if not (folder / marker).is_file())
    told = "not there yet" if not folders else f"no {marker} yet in {', '.join(unmarked[:SHOWN])}" if unmarked else ""
    log.info("%s: %s", pattern, told or f"there, with {marker}")
    return bool(folders) and not unmarked


def _found(pattern: str, conn_id: str | None) -> Iterable[Path | ObjectStoragePath]:
    path = _local(pattern)
    if path is None:
        return _remote(pattern, conn_id)
    if path.exists():
        return _visible(path.iterdir()) if path.is_dir() else [path]
    return _visible(map(Path, glob.iglob(str(path), recursive=True)))  # noqa: PTH207


def _local(pattern: str) -> Path | None:
    if pattern.startswith("file:"):
        return Path(unquote(urlsplit(pattern).path))
    return None if "://" in pattern else Path(pattern).expanduser().absolute()


def _remote(pattern: str, conn_id: str | None) -> Iterable[Path | ObjectStoragePath]:
    parts = pattern.split("/")
    fixed = list(takewhile(lambda part: not glob.has_magic(part), parts))
    path = ObjectStoragePath("/".join(fixed), conn_id=conn_id)
    if len(fixed) < len(parts):
        return _visible(path.glob("/".join(parts[len(fixed) :])))
    return _visible(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []


def _visible(paths: Iterable[Path | ObjectStoragePath]) -> Iterable[Path | ObjectStoragePath]:
    return (path for path in paths if path.is_file() and not path.name.startswith((".", "_")))
