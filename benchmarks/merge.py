"""A merge into TPC-H's `orders`: the project's, the best that was written by hand, and the plain one.

The batch has 1 % updates and 1 % inserts among the newest 5 % of the keys. It lies in bronze, and each merge takes it
from there into a table that is as it was before.
"""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks import orders
from benchmarks.linked import Linked, copied
from benchmarks.measuring import Comparison, Contender, in_turn
from benchmarks.orders import KEY
from benchmarks.tpch import ORDERS, Orders, make_orders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Batch

MEMORY = "4g"
TUNED = {
    "spark.sql.shuffle.partitions": "4",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
}
"""What a session of the embedded server is given where batches are not small; the merge by hand gets the same."""
DEFAULTS = {
    "spark.sql.shuffle.partitions": "200",
    "spark.databricks.delta.snapshotPartitions": "50",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
    "spark.driver.extraJavaOptions": "-XX:-UseSerialGC -XX:+UseG1GC -XX:TieredStopAtLevel=4",
}
"""What Spark and Java are like where nobody has set anything."""
_OURS = {"ours": "ours", "ours, deletion vectors": "ours_marked"}
"""Ours, and in which lake."""
_BY_HAND = {
    "clustered": ("clustered", False),
    "clustered, with ranges": ("clustered", True),
    "deletion vectors": ("marked", False),
    "deletion vectors, with ranges": ("marked", True),
}
"""By hand: into which table, and whether the range of the keys is asked for and put into the condition."""


def compare(rounds: int = 5, scales: tuple[float, float] = (1, 4)) -> Iterator[Comparison]:
    """The promises about a merge, on two warm servers: the embedded one, and one as Spark is by default."""
    from airflow_ingest.runtime import Embedded, session, stop_server

    with TemporaryDirectory() as root, ExitStack() as stack:
        os.environ["AIRFLOW_INGEST_HOME"] = f"{root}/runtime"
        stack.callback(stop_server)
        tuned = stack.enter_context(session(Embedded(memory=MEMORY), TUNED))
        plain = stack.enter_context(session(Embedded(memory=MEMORY, conf=DEFAULTS)))
        small, large = (Arena.made(Path(root, f"orders_{scale}"), scale, tuned, plain) for scale in scales)
        contenders = {**small.contenders(), **large.contenders()}
        in_turn(contenders, rounds=2)
        for arena in (small, large):
            arena.gated.clear()
        yield from _promised(small, large, in_turn(contenders, rounds=rounds))


def _promised(small: Arena, large: Arena, seconds: Mapping[str, tuple[float, ...]]) -> Iterator[Comparison]:
    best = {arena: arena.fastest(_OURS, seconds) for arena in (small, large)}
    for arena, ours in best.items():
        mine, hand = seconds[arena.name(ours)], arena.fastest(_BY_HAND, seconds)
        theirs = seconds[arena.name(hand)]
        yield Comparison(f"{ours}: a merge into {arena.title} / by hand: {hand}", mine, theirs, 1.25)
        for way in _OURS:
            yield Comparison(f"… {way} / by hand: {hand}", seconds[arena.name(way)], theirs)
        yield Comparison(f"… {ours}, with the gate before it", tuple(arena.gated[ours]), theirs)
        for way in _BY_HAND:
            yield Comparison(f"… by hand: {way} / {hand}", seconds[arena.name(way)], theirs)
    mine, smaller = (seconds[arena.name(best[arena])] for arena in (large, small))
    yield Comparison(f"a merge into {large.title} / into {small.title}", mine, smaller, 1.15)
    plain = seconds[large.name("plain")]
    yield Comparison(f"a merge into {large.title} / a plain MERGE, default session", mine, plain, 1 / 3.5)


@dataclass(eq=False)
class Arena:
    """`orders` at one scale as each contender wants it, and the batch in bronze.

    `gated` are the seconds of our gate and merge together, as they were measured each way.
    """

    root: Path
    scale: float
    tuned: SparkSession
    plain: SparkSession
    data: Orders
    batch: Batch
    gated: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def made(cls, root: Path, scale: float, tuned: SparkSession, plain: SparkSession) -> Arena:
        """Everything that stands before the clock starts."""
        data = make_orders(root / "landing", scale)
        batch = orders.load(tuned, root / "ours", data)
        orders.lay_out(tuned, root / "ours" / "silver" / "orders", scale)
        orders.create(tuned, root / "clustered", data.table)
        orders.lay_out(tuned, root / "clustered", scale)
        orders.mark(tuned, copied(root / "ours", root / "ours_marked") / "silver" / "orders")
        orders.mark(tuned, copied(root / "clustered", root / "marked"))
        orders.scatter(plain, root / "plain", data.table)
        return cls(root, scale, tuned, plain, data, batch)

    @property
    def title(self) -> str:
        return f"orders SF{self.scale:g}"

    def name(self, contender: str) -> str:
        return f"{contender}, {self.title}"

    def fastest(self, ways: Mapping[str, object], seconds: Mapping[str, tuple[float, ...]]) -> str:
        """That of `ways` with the least median."""
        return min(ways, key=lambda way: statistics.median(seconds[self.name(way)]))

    def contenders(self) -> Mapping[str, Contender]:
        """All that take turns, by name."""
        ours = {way: partial(self._ours, way) for way in _OURS}
        by_hand = {way: partial(self._by_hand, *how) for way, how in _BY_HAND.items()}
        found: Mapping[str, Contender] = {**ours, **by_hand, "plain": self._plain}
        return {self.name(way): merge for way, merge in found.items()}

    def _ours(self, way: str, _: int) -> float:
        from airflow_ingest.lakehouse import Lake, merge_silver, quality_gate

        with Linked(self.root / _OURS[way]) as folder:
            lake, run, config = Lake(str(folder), "bench"), orders.run_of(2), orders.table()
            for path in (lake.bronze("orders"), lake.silver("orders")):
                orders.look_at(self.tuned, path)
            started = time.perf_counter()
            gate = quality_gate(self.tuned, lake, "orders", config, run, self.batch)
            gated = time.perf_counter()
            rows = merge_silver(self.tuned, lake, "orders", config, run, self.batch, gate).rows
            ended = time.perf_counter()
        assert (rows.inserted, rows.updated) == (self.data.changes, self.data.changes), rows
        self.gated[way].append(ended - started)
        return ended - gated

    def _by_hand(self, table: str, ranges: bool, _: int) -> float:
        with Linked(self.root / table) as folder:
            return self._merge(self.tuned, str(folder), ranges=ranges)

    def _plain(self, _: int) -> float:
        with Linked(self.root / "plain") as folder:
            return self._merge(self.plain, str(folder), ranges=False)

    def _merge(self, spark: SparkSession, path: str, *, ranges: bool) -> float:
        bronze = str(self.root / "ours" / "bronze" / "orders")
        for known in (bronze, path):
            orders.look_at(spark, known)
        started = time.perf_counter()
        typed = ", ".join(f"cast({name} AS {kind}) AS {name}" for name, kind in ORDERS.items())
        spark.sql(
            f"SELECT {typed} FROM delta.`{bronze}` "
            f"WHERE _processing_date = DATE'{self.batch.processing_date}' AND _batch_id = '{self.batch.id}'"
        ).createOrReplaceTempView("batch")
        within = ""
        if ranges:
            low, high = spark.sql(f"SELECT min({KEY}), max({KEY}) FROM batch").collect()[0]
            within = f" AND t.{KEY} BETWEEN {low} AND {high}"
        [told] = spark.sql(
            f"MERGE INTO delta.`{path}` t USING batch s ON t.{KEY} = s.{KEY}{within} "
            "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
        ).collect()
        ended = time.perf_counter()
        assert (told.num_inserted_rows, told.num_updated_rows) == (self.data.changes, self.data.changes), told
        return ended - started
