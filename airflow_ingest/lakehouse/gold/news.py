"""What a gold table took from its inputs last, and what they have published since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.gold.changes import changed_partitions
from airflow_ingest.lakehouse.log import LOOK_BACK, Commit, Published, history, in_effect, published
from airflow_ingest.lakehouse.model import short_hash

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse.lake import Lake


@dataclass(frozen=True)
class News:
    """`commits`: the table's newest; `inputs`: what its inputs have published.

    `paths` says where the inputs are, `query` is a hash of what the configuration asks for.
    """

    commits: Sequence[Commit]
    query: str
    paths: Mapping[str, str]
    inputs: Mapping[str, Published]

    @property
    def now(self) -> dict[str, int]:
        """The versions since which the published inputs' rows are what they are: maintenance is no news."""
        return {source: found.rows for source, found in self.inputs.items()}

    @property
    def versions(self) -> dict[str, int]:
        """The versions at which the published inputs are to be read."""
        return {source: found.version for source, found in self.inputs.items()}

    @property
    def last(self) -> Commit | None:
        """The commit that made the table as it is, if there is one."""
        return next((commit for commit in in_effect(self.commits) if commit.metadata.get("inputs")), None)

    @property
    def absent(self) -> list[str]:
        """The inputs that have never been published."""
        return [source for source in self.paths if source not in self.now]

    @property
    def taken(self) -> dict[str, int]:
        """The inputs' versions that the table was made from."""
        return dict(self.last.metadata.get("inputs", {})) if self.last else {}

    @property
    def same_query(self) -> bool:
        """Whether the table was made by today's configuration."""
        return self.last is not None and self.last.metadata.get("query") == self.query

    def partitions(self, spark: SparkSession, gold: Gold) -> list[Any] | None:
        """The values of the partition column that have to be recomputed; none if there is no news, None for all."""
        if not self.same_query:
            return None
        if self.taken == self.now:
            return []
        if gold.load != "replace":
            return None
        return changed_partitions(spark, gold, self.paths, self.taken, self.now)


def news_of(spark: SparkSession, lake: Lake, name: str, gold: Gold) -> News:
    """The news for the gold table `name`, from the logs alone."""
    paths = {source: lake.path(*source.split(".", 1)) for source in gold.inputs}
    with ThreadPoolExecutor(max_workers=4) as pool:
        own = pool.submit(history, spark, lake.gold(name), LOOK_BACK)
        asked = {source: pool.submit(published, spark, where) for source, where in paths.items()}
        inputs = {source: found for source, answer in asked.items() if (found := answer.result())}
    return News(own.result(), query_version(gold), paths, inputs)


def query_version(gold: Gold) -> str:
    """A hash of what the configuration asks of a gold table's rows: two tables with the same one hold the same."""
    return short_hash(gold.model_dump_json(exclude={"cluster_by", "optimize", "profile"}))
