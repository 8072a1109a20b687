"""A folder of pipeline files as a DAG bundle, without a loader file."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles.base import BaseDagBundle

log = logging.getLogger(__name__)

_SUFFIXES = (".yaml", ".yml")
_SHARED = "ingest_shared.py"
_SETTLED = 1.0
_STUB = '''\
"""An Airflow DAG, written by PipelineDagBundle: change the pipeline's file, not this one."""
# {version}
from airflow_ingest.bundles.stubs import {build}

globals().update({build}(__file__, {source!r}, {options!r}))
'''


class PipelineDagBundle(BaseDagBundle):
    """Every pipeline file (`*.yaml`, `*.yml`) of a folder as a DAG of its own, beside the DAGs that serve them all.

    Airflow imports Python files alone, so the bundle keeps, in a folder of its own, a copy of each pipeline file and a
    small Python file that makes its DAG: one file, one import. What is wrong with one is that one's import error, and
    neither stops nor slows another. A file that was written within the last second is left until it has come to rest,
    so that one half written is not taken for whole.

    Any number of processes may hold the bundle: all write the same, each file in one go.

    :param path: the folder with the pipeline files; no other process need write to it
    :param maintenance: arguments of `airflow_ingest.factory.Maintenance`, with `retain` as a duration such as `30d`;
        None leaves the DAG out
    :param by_hand: arguments of `airflow_ingest.factory.ByHand`; None leaves the DAGs out
    """

    supports_versioning = False

    def __init__(
        self,
        *,
        path: str,
        maintenance: Mapping[str, Any] | None = {},
        by_hand: Mapping[str, str] | None = {},
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._source = Path(path).expanduser().absolute()
        self._options = {
            "maintenance": None if maintenance is None else dict(maintenance),
            "by_hand": None if by_hand is None else dict(by_hand),
        }

    @property
    def path(self) -> Path:
        """The bundle's own folder, with what Airflow imports.

        Airflow's folder for bundles is shared by all Airflows of a machine, unless they are told otherwise.
        """
        return Path(self.base_dir) / _digest(repr((str(self._source), self._options)).encode())[:12]

    def get_current_version(self) -> None:
        """None: the files are what they are now."""

    def initialize(self) -> None:
        """Bring the bundle's own folder up to date."""
        self.refresh()
        super().initialize()

    def refresh(self) -> None:
        """Copy what is new or has changed, and remove what is gone."""
        if self._differences():
            with self.lock():
                for file, content in self._differences().items():
                    _replace(self.path / file, content)

    def _differences(self) -> dict[str, bytes | None]:
        """What the bundle's own folder lacks, by name: the content of a file, or None for one that has to go.

        A copy comes before the file that reads it.
        """
        if not self._source.is_dir():
            log.warning("The bundle %s finds no folder %s, and keeps the pipelines it had.", self.name, self._source)
            return {}
        present = {file.name for file in self.path.iterdir()} if self.path.is_dir() else set()
        found: dict[str, bytes | None] = {}
        versions: dict[str, str] = {}
        for file in sorted(self._source.iterdir()):
            if file.suffix not in _SUFFIXES:
                continue
            content = self._content(file, present)
            if content is None:
                continue
            version = versions[file.name] = _digest(content)
            self._compare(found, file.name, content)
            self._compare(found, f"{file.name}.py", self._stub("pipeline_dags", version, file))
        if versions:
            every = _digest(repr(sorted(versions.items())).encode())
            self._compare(found, _SHARED, self._stub("shared_dags", every, self._source))
        wanted = {*versions, *(f"{name}.py" for name in versions), *([_SHARED] if versions else [])}
        gone = {name for name in present - wanted if Path(name).suffix in (*_SUFFIXES, ".py")}
        return {**found, **dict.fromkeys(sorted(gone))}

    def _content(self, file: Path, present: set[str]) -> bytes | None:
        """What a pipeline file holds; while it is being written, what it held before, if anything."""
        try:
            age = time.time() - file.stat().st_mtime
            restless = 0 <= age < _SETTLED
            if restless and file.name not in present:
                return None
            return (self.path / file.name if restless else file).read_bytes()
        except FileNotFoundError:
            return None

    def _compare(self, found: dict[str, bytes | None], name: str, content: bytes) -> None:
        try:
            if (self.path / name).read_bytes() == content:
                return
        except FileNotFoundError:
            pass
        found[name] = content

    def _stub(self, build: str, version: str, source: Path) -> bytes:
        return _STUB.format(version=version, build=build, source=str(source), options=self._options).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(file: Path, content: bytes | None) -> None:
    """Write a file in one go, or remove it."""
    if content is None:
        file.unlink(missing_ok=True)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=file.parent, prefix=".draft-")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        Path(draft).chmod(0o644)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
