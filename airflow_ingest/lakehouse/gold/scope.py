"""The part of a gold table that has to be made anew, as a condition over its columns."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from airflow_ingest.lakehouse.sql import column, literal, quote

TOO_MANY = 1000
"""Values beyond this number are not listed: a condition then takes all between the least and the greatest."""


@dataclass(frozen=True)
class Among:
    """The rows that have one of `values` in the column `name`; with `span`, any between the least and the greatest.

    A None among them is NULL.
    """

    name: str
    values: tuple[Any, ...]
    span: bool = False

    @property
    def known(self) -> list[Any]:
        """The values that are not NULL, in order."""
        return sorted(value for value in self.values if value is not None)

    def ahead(self, length: timedelta) -> Among:
        """Of dates: these and the days that come less than `length` after them."""
        days = range(max(1, math.ceil(length / timedelta(days=1))))
        later = {value + timedelta(days=day) for value in self.known for day in days}
        return replace(self, values=tuple({*self.values, *later}))

    def sql(self, alias: str = "") -> str:
        """What holds for its rows, which `alias` may name."""
        name = column(alias, self.name) if alias else quote(self.name)
        known = [literal(value) for value in self.known]
        held = [f"{name} IS NULL"] if None in self.values else []
        if known and self.span:
            held.append(f"{name} BETWEEN {known[0]} AND {known[-1]}")
        elif known:
            held.append(f"{name} IN ({', '.join(known)})")
        return " OR ".join(held)


@dataclass(frozen=True)
class Part:
    """The rows that are among each of `columns`, of whose values `count` different ones have changed."""

    columns: tuple[Among, ...]
    count: int

    def sql(self, alias: str = "") -> str:
        """What holds for its rows, which `alias` may name."""
        return " AND ".join(f"({among.sql(alias)})" for among in self.columns)


@dataclass(frozen=True)
class Scope:
    """The rows of any of `parts`: those of a gold table that the changes of its inputs can have reached.

    - `what`: what `count` counts
    - `by_key`: whether rows with one key are all in it or all out of it, whatever else has changed of them
    """

    parts: tuple[Part, ...]
    what: str = "keys"
    by_key: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether it has no rows."""
        return not self.parts

    @property
    def values(self) -> tuple[str, ...] | None:
        """The values that have changed, for people; None where there are too many."""
        among = [among for part in self.parts for among in part.columns]
        if any(one.span for one in among):
            return None
        return tuple(dict.fromkeys(str(value) for one in among for value in (*one.known, *_nulls(one))))

    def sql(self, alias: str = "") -> str:
        """What holds for its rows, which `alias` may name."""
        return " OR ".join(part.sql(alias) for part in self.parts) or "false"

    def __str__(self) -> str:
        if any(part.count > TOO_MANY for part in self.parts):
            return f"more than {TOO_MANY} {self.what}"
        return f"{sum(part.count for part in self.parts)} {self.what}"


def _nulls(among: Among) -> list[str]:
    return ["NULL"] if None in among.values else []
