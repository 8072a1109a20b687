"""Where a lake keeps its tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Lake:
    """The tables of one lake as one pipeline sees them: `<root>/<layer>/<name>`.

    `root` is a folder or a URL that Spark can write to; a relative folder is taken from the working directory.
    """

    root: str
    pipeline: str

    def __post_init__(self) -> None:
        root = self.root if "://" in self.root else str(Path(self.root).expanduser().absolute())
        object.__setattr__(self, "root", root.rstrip("/"))

    def path(self, layer: str, name: str) -> str:
        """The path of table `name` in `layer`."""
        return f"{self.root}/{layer}/{name}"

    def bronze(self, name: str) -> str:
        return self.path("bronze", name)

    def silver(self, name: str) -> str:
        return self.path("silver", name)

    def gold(self, name: str) -> str:
        return self.path("gold", name)

    def dlq(self, name: str) -> str:
        return self.path("dlq", name)

    def ops(self, name: str) -> str:
        """The path of a table in which the pipelines of this lake keep their books."""
        return self.path("ops", name)
