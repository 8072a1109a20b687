"""The gate on a million rows: with fifty rules, with one, and the same fifty rules one query each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Comparison, in_turn
from benchmarks.merge import MEMORY
from benchmarks.orders import run_of
from benchmarks.tpch import ORDERS, generate

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from airflow_ingest.config import Table
    from airflow_ingest.lakehouse import Batch

SCALE = 2 / 3
"""A million rows of `orders`."""


def compare(rounds: int = 3) -> Iterator[Comparison]:
    """The promises about the gate, on one warm server."""
    from airflow_ingest.runtime import Embedded, session, start_server, stop_server

    with TemporaryDirectory() as root:
        os.environ["AIRFLOW_INGEST_HOME"] = f"{root}/runtime"
        file = generate(Path(root, "landing"), "orders", SCALE)
        start_server(Embedded(memory=MEMORY))
        try:
            with session(Embedded(memory=MEMORY)) as spark:
                gates = Gates(spark, Path(root, "lake"), str(file))
                contenders = {"fifty": gates.fifty, "one": gates.one, "each": gates.one_query_each}
                in_turn(contenders, rounds=1)
                seconds = in_turn(contenders, rounds=rounds)
        finally:
            stop_server()
    yield Comparison("a gate with 50 rules / with 1, a million rows", seconds["fifty"], seconds["one"], 2)
    yield Comparison("a gate with 50 rules / one query each", seconds["fifty"], seconds["each"], 1 / 3)


class Gates:
    """One batch in bronze, and ways to judge it; the dead letters of the gate before are removed."""

    def __init__(self, spark: SparkSession, root: Path, file: str) -> None:
        from airflow_ingest.lakehouse import Lake, ingest_bronze

        self._spark, self._lake = spark, Lake(str(root), "bench")
        loaded = ingest_bronze(spark, self._lake, "orders", table(RULES), run_of(1), files=file)
        assert loaded.batch
        self._batch: Batch = loaded.batch

    def fifty(self, _: int) -> None:
        """All rules."""
        self._gate(RULES)

    def one(self, _: int) -> None:
        """One rule."""
        self._gate(RULES[:1])

    def one_query_each(self, _: int) -> None:
        """All rules on the same rows, typed, each on its own."""
        for question in QUERIES:
            self._typed().selectExpr(question).collect()

    def _gate(self, rules: Sequence[dict[str, Any]]) -> None:
        from airflow_ingest.lakehouse import quality_gate

        shutil.rmtree(self._lake.dlq("orders"), ignore_errors=True)
        quality_gate(self._spark, self._lake, "orders", table(rules), run_of(1), self._batch)

    def _typed(self) -> DataFrame:
        bronze = self._spark.read.format("delta").load(self._lake.bronze("orders"))
        return bronze.selectExpr(*(f"try_cast({name} AS {kind}) AS {name}" for name, kind in ORDERS.items()))


def table(rules: Sequence[dict[str, Any]]) -> Table:
    """`orders` with `rules`."""
    from airflow_ingest.config import Table

    source = {"files": "given to each load", "format": "csv"}
    silver = {"columns": ORDERS, "load": "append"}
    return Table.model_validate({"source": source, "silver": silver, "quality": {"rules": list(rules)}})


_EXPECTED = [
    *(f"o_totalprice > {price}" for price in range(-15, 0)),
    *(f"o_orderdate >= DATE'19{year}-01-01'" for year in range(80, 90)),
    *(f"length(o_comment) < {length}" for length in range(100, 110)),
]
RULES: list[dict[str, Any]] = [
    *({"name": f"expect {number}", "expect": sql} for number, sql in enumerate(_EXPECTED)),
    {"accepted_values": {"column": "o_orderstatus", "values": ["F", "O", "P"]}},
    {"pattern": {"column": "o_clerk", "regex": "^Clerk#[0-9]{9}$"}},
    {"range": {"column": "o_orderkey", "min": 1}},
    {"unique": ["o_orderkey"]},
    {"row_count": {"min": 1}},
    *({"null_rate": {"column": name, "max": 0}} for name in list(ORDERS)[:8]),
    *({"name": f"sum {limit}", "sql": f"SELECT sum(o_totalprice) > {limit} FROM batch"} for limit in (0, 1)),
]
QUERIES = [
    *(f"count_if(NOT coalesce({sql}, false))" for sql in _EXPECTED),
    "count_if(o_orderstatus NOT IN ('F', 'O', 'P'))",
    "count_if(NOT o_clerk RLIKE '^Clerk#[0-9]{9}$')",
    "count_if(o_orderkey < 1)",
    "count(*) - count(DISTINCT o_orderkey)",
    "count(*)",
    *(f"count_if({name} IS NULL) / count(*)" for name in list(ORDERS)[:8]),
    *(f"sum(o_totalprice) > {limit}" for limit in (0, 1)),
]
assert len(RULES) == len(QUERIES) == 50
