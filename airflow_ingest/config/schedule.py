"""When a pipeline runs: on a clock, or after other tables were loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from airflow_ingest.config.block import Block

Asset = Annotated[
    Annotated[str, Tag("@text")] | Annotated["AssetSet", Tag("@set")],
    Discriminator(lambda value: "@set" if isinstance(value, dict | AssetSet) else "@text"),
]


class AssetSet(Block):
    """Several assets as one condition: exactly one of `all` and `any`. Each entry may be such a set again."""

    all: list[Asset] | None = Field(None, min_length=1, description="Each of them has news since the last run.")
    any: list[Asset] | None = Field(None, min_length=1, description="One of them has news.")

    @property
    def entries(self) -> list[Any]:
        """The names and the sets in it."""
        return (self.any if self.all is None else self.all) or []


class AssetSchedule(Block):
    """A run after other tables were loaded."""

    assets: Annotated[
        Annotated[list[Asset], Tag("@list"), Field(min_length=1)] | Annotated[AssetSet, Tag("@set")],
        Discriminator(lambda value: "@set" if isinstance(value, dict | AssetSet) else "@list"),
    ] = Field(
        description="Assets, those of pipelines as `<pipeline>.<layer>.<table>`: a run follows once each of the list "
        "has news. `{any: [...]}` and `{all: [...]}` say it otherwise, one inside the other too."
    )

    @property
    def condition(self) -> AssetSet:
        """The whole as a set: a plain list means all."""
        return self.assets if isinstance(self.assets, AssetSet) else AssetSet(all=self.assets)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all assets in it, each once."""
        return tuple(dict.fromkeys(_names(self.condition)))


def _names(condition: AssetSet) -> Iterator[str]:
    for entry in condition.entries:
        yield from _names(entry) if isinstance(entry, AssetSet) else (entry,)


Schedule = Annotated[
    Annotated[str, Tag("@text")] | Annotated[AssetSchedule, Tag("@assets")],
    Discriminator(lambda value: "@assets" if isinstance(value, dict | AssetSchedule) else "@text"),
]
