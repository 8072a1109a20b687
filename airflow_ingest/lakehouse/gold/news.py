"""What a gold table took from its inputs last, and what they have published since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.gold.changes import scope_of
from airflow_ingest.lakehouse.gold.scope import Scope
from airflow_ingest.lakehouse.log import Commit, Published, history, in_effect, others_among, own_history, published
from airflow_ingest.lakehouse.model import short_hash

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake

INPUTS = "inputs"
"""In a commit of gold: the versions of the inputs that the table was made from."""
INPUTS_AT = "inputs_at"
"""In a commit of gold: when those versions were committed."""
BASE = "base"
"""In a commit of gold: the table's own version that its new rows were compared with."""


@dataclass(frozen=True)
class News:
    """`commits`: the newest of the table at `path`; `inputs`: what its inputs have published.

    `paths` says where the inputs are, `query` is a hash of what the configuration asks for.
    """

    path: str
    commits: Sequence[Commit]
    query: str
    paths: Mapping[str, str]
    inputs: Mapping[str, Published]

    @property
    def now(self) -> dict[str, int]:
        """The versions since which the published inputs' rows are what they are: maintenance is no news."""
        return {source: found.rows for source, found in self.inputs.items()}

    @property
    def at(self) -> dict[str, str]:
        """When the versions `now` were committed."""
        return {source: found.at.isoformat() for source, found in self.inputs.items() if found.at}

    @property
    def versions(self) -> dict[str, int]:
        """The versions at which the published inputs are to be read."""
        return {source: found.version for source, found in self.inputs.items()}

    @property
    def last(self) -> Commit | None:
        """The commit that made the table as it is, if there is one."""
        return next((commit for commit in in_effect(self.commits) if INPUTS in commit.metadata), None)

    @property
    def absent(self) -> list[str]:
        """The inputs that have never been published."""
        return [source for source in self.paths if source not in self.now]

    @property
    def taken(self) -> dict[str, int]:
        """The inputs' versions that the table was made from."""
        return dict(self.last.metadata[INPUTS]) if self.last else {}

    @property
    def same_query(self) -> bool:
        """Whether the table was made by today's configuration."""
        return self.last is not None and self.last.metadata.get("query") == self.query

    @property
    def is_sound(self) -> bool:
        """Whether the table was what the last commit took it for: nobody wrote between its comparison and itself."""
        base = self.last.metadata.get(BASE) if self.last else None
        return self.last is None or base is None or not others_among(self.commits, base, self.last.version)

    def scope(self, spark: SparkSession, gold: Gold) -> Scope | None:
        """The rows that have to be made anew; empty if there is no news, None for all."""
        if (
            gold.reads_clock
            or not self.same_query
            or not self.is_sound
            or any(self._is_anew(spark, source) for source in self.inputs)
        ):
            return None
        if self.taken == self.now:
            return Scope(())
        return scope_of(spark, gold, self.path, self.paths, self.taken, self.now)

    def _is_anew(self, spark: SparkSession, source: str) -> bool:
        """Whether another table lies where the input was when it was taken last, or nobody can tell."""
        taken, found = self.taken.get(source), self.inputs[source]
        known: Mapping[str, str] = self.last.metadata.get(INPUTS_AT, {}) if self.last else {}
        then = known.get(source)
        if taken is None or then is None:
            return False
        if taken == found.rows:
            return self.at.get(source) != then
        if taken > found.version:
            return True
        commits = history(spark, self.paths[source], found.version - taken + 1)
        return not any(one.version == taken and one.at and one.at.isoformat() == then for one in commits)


def news_of(spark: SparkSession, lake: Lake, name: str, gold: Gold) -> News:
    """The news for the gold table `name`, from the logs alone."""
    paths = {source: lake.path(*source.split(".", 1)) for source in gold.inputs}
    with ThreadPoolExecutor(max_workers=4) as pool:
        own = pool.submit(own_history, spark, lake.gold(name))
        asked = {source: pool.submit(published, spark, where) for source, where in paths.items()}
        inputs = {source: found for source, answer in asked.items() if (found := answer.result())}
    return News(lake.gold(name), own.result(), query_version(gold), paths, inputs)


def query_version(gold: Gold) -> str:
    """A hash of what the configuration asks of a gold table's rows: two tables with the same one hold the same."""
    return short_hash(gold.model_dump_json(exclude={"cluster_by", "optimize", "profile"}))
