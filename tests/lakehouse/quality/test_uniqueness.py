"""Which unique rules a look at their columns alone answers, and what the gate then says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.config import Quality
from airflow_ingest.lakehouse.quality.uniqueness import without_twins
from airflow_ingest.lakehouse.settings import BULK_ROWS
from airflow_ingest.runtime import session
from tests.lakehouse.conftest import Workbench, csv_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

COLUMNS = "id int, shop string, n int"
ROWS = [(1, "a", None), (2, "a", None), (3, None, 1), (4, None, 2)]


@pytest.mark.parametrize(
    ("rule", "known"),
    [
        pytest.param({"unique": ["id"]}, True, id="unique"),
        pytest.param({"unique": ["ID", "shop"]}, True, id="together, in another case"),
        pytest.param({"unique": ["shop"]}, False, id="twins, of NULL too"),
        pytest.param({"unique": ["n"]}, False, id="NULLs agree"),
        pytest.param({"unique": ["shop", "n"]}, False, id="twins with a NULL"),
        pytest.param({"unique": ["looked_up"]}, False, id="a column that is not there"),
        pytest.param({"unique": ["parsed"]}, False, id="what cannot be compared"),
        pytest.param({"duplicate_rate": {"columns": ["id"], "max": 0}}, False, id="a rule of another kind"),
    ],
)
def test_it_is_known_of_those_whose_columns_no_two_rows_share(spark: SparkSession, rule: Any, *, known: bool) -> None:
    (named,) = Quality.model_validate({"rules": [rule]}).rules
    rows = spark.createDataFrame(ROWS, COLUMNS).selectExpr("*", "parse_json(cast(id AS STRING)) AS parsed")
    assert without_twins(rows, [(7, named)]) == (frozenset({7}) if known else set())


@pytest.mark.parametrize(
    ("lines", "passed", "failing"),
    [
        pytest.param("1,a\n2,b\n", True, 0, id="unique", marks=pytest.mark.slow),
        pytest.param("1,a\n1,b\n2,c\n", False, 2, id="twins"),
        pytest.param("1,a\n1,x\nx,b\n", True, 0, id="twins of which one is rejected", marks=pytest.mark.slow),
        pytest.param("", True, 0, id="no rows", marks=pytest.mark.slow),
    ],
)
def test_a_gate_says_of_a_large_batch_what_it_says_of_a_small_one(
    tmp_path: Path, lines: str, *, passed: bool, failing: int
) -> None:
    rules = [{"unique": ["id"], "severity": "warning"}, {"name": "no x", "expect": "name <> 'x'"}]
    silver = {"columns": {"id": "int", "name": "string"}, "load": "append", "keys": [], "sequence_by": []}
    table = csv_table(silver, quality={"max_reject_rate": "100%", "rules": rules})
    with session(conf={BULK_ROWS: "0"}) as spark:
        bench = Workbench(spark, tmp_path)
        gate = bench.gate(table, bench.ingest(table, bench.write("1.csv", f"id,name\n{lines}")))
    unique, _ = gate.rules
    assert (unique.passed, unique.failing, unique.value) == (passed, failing, failing)
