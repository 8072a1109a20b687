"""What can be wrong, told to the person who can put it right.

IngestError
├── ConfigError        a pipeline file with mistakes, all of them at once
├── RuntimeProblem     airflow_ingest.runtime: no Spark to work with
└── LakehouseError     airflow_ingest.lakehouse: the data or its tables
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class IngestError(Exception):
    """The root of every error that this package raises on purpose."""


@dataclass(frozen=True, order=True)
class Mistake:
    """One mistake in a configuration: where it is, what is wrong, what to write instead.

    `line` and `column` count from 1; both are 0 where the configuration did not come from a file.
    """

    file: str
    line: int
    column: int
    path: str
    problem: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f"{place}: {self.path}" if self.path else place
        return f"{where}: {self.problem}" + (f"\n    {self.hint}" if self.hint else "")


class ConfigError(IngestError):
    """A configuration that cannot be used. `mistakes` holds everything that is wrong with it, in the file's order."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[tuple[Mistake, ...]]]:
        return type(self), (self.mistakes,)
