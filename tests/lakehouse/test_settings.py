"""Settings for as long as a block runs, and which loads Spark compiles for."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

import pytest

from airflow_ingest.lakehouse.log import Commit
from airflow_ingest.lakehouse.model import Batch, SourceFile
from airflow_ingest.lakehouse.settings import BULK_ROWS, compiled, other_settings, rows_expected
from airflow_ingest.runtime import session
from tests.lakehouse.conftest import Workbench, csv_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

WHOLE_STAGE = "spark.sql.codegen.wholeStage"
seen: list[str] = []


def looking(rows: DataFrame) -> DataFrame:
    """A pipeline's own function that notes whether Spark compiles what is made of it."""
    seen.append(str(rows.sparkSession.conf.get(WHOLE_STAGE)))
    return rows


def test_other_settings_are_taken_back_whatever_happens_inside(spark: SparkSession) -> None:
    spark.conf.set(WHOLE_STAGE, "true")
    with suppress(ZeroDivisionError), other_settings(spark, {WHOLE_STAGE: "false"}):
        assert spark.conf.get(WHOLE_STAGE) == "false"
        _ = 1 // 0
    assert spark.conf.get(WHOLE_STAGE) == "true"
    spark.conf.unset(WHOLE_STAGE)


@pytest.mark.parametrize(("limit", "rows", "on"), [("10", 10, True), ("10", 9, False), ("", 10**9, False)])
def test_spark_compiles_for_as_many_rows_as_the_server_says(limit: str, rows: int, on: bool) -> None:
    with session(conf={BULK_ROWS: limit}) as spark:
        with compiled(spark, rows):
            assert (spark.conf.get(WHOLE_STAGE) == "true") is on
        assert spark.conf.get(WHOLE_STAGE) == "false"


def test_the_embedded_server_says_from_how_many_rows_on(spark: SparkSession) -> None:
    assert spark.conf.get(BULK_ROWS) == "100000"


def test_as_many_rows_are_expected_as_the_last_loads_handled_or_the_files_may_hold() -> None:
    commits = [Commit(9 - n, "MERGE", {}, {"numOutputRows": n, "numTargetRowsCopied": 10 * n}) for n in range(9)]
    assert rows_expected([]) == 0
    assert rows_expected(commits[3:]) == 50
    file = SourceFile(path="/landing/1.csv", size=100_000, modified=0)
    batch = Batch(table="t", id="b", generation=1, run_id="r", processing_date=date(2026, 1, 1), files=(file,))
    assert rows_expected(commits[3:], batch) == 1000


def test_a_gate_compiles_for_a_large_batch_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    table = csv_table({"transform": f"{__name__}:looking"})
    with session(conf={BULK_ROWS: "5"}) as spark:
        bench = Workbench(spark, tmp_path_factory.mktemp("bench"))
        for day, rows in ((1, 5), (2, 1)):
            text = "".join(f"{day}{number},1,x\n" for number in range(rows))
            loaded = bench.ingest(table, bench.write(f"{day}.csv", f"id,amount,note\n{text}"), day=day)
            bench.gate(table, loaded, day=day)
        assert spark.conf.get(WHOLE_STAGE) == "false"
    assert seen == ["true", "false"]
