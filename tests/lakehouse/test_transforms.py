"""The user's own function: DataFrame → DataFrame, over bronze's well-formed rows, before everything else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pyspark.sql import functions as F

from airflow_ingest.lakehouse import replay_dlq
from airflow_ingest.lakehouse.errors import TransformError
from tests.lakehouse.conftest import Workbench, csv_table, run

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

pytestmark = pytest.mark.spark

HERE = "tests.lakehouse.test_transforms"


def one_row_an_item(rows: DataFrame) -> DataFrame:
    """`items` is a list of `id:amount`."""
    items = rows.withColumn("item", F.explode(F.split("items", r"\|")))
    return items.withColumns(
        {"id": F.split("item", ":")[0], "amount": F.split("item", ":")[1], "note": F.lit("made")}
    ).drop("item")


def in_pandas(rows: DataFrame) -> DataFrame:
    """Amounts doubled, by a pandas function."""

    def double(frames: Iterator[Any]) -> Iterator[Any]:
        for frame in frames:
            yield frame.assign(amount=(frame["amount"].astype(int) * 2).astype(str))

    return rows.mapInPandas(double, rows.schema)


def loses_columns(rows: DataFrame) -> DataFrame:
    return rows.select("id", "amount", "note")


def fails(rows: DataFrame) -> DataFrame:
    return rows.select("nothing of that name")


def returns_nothing(rows: DataFrame) -> None:
    rows.count()


def table(function: str, **silver: Any) -> Any:
    module = function if ":" in function else f"{HERE}:{function}"
    return csv_table({"transform": module, "sequence_by": [], **silver}, quality={"max_reject_rate": "100%"})


@pytest.mark.slow
def test_a_function_makes_the_rows_that_are_judged_and_dead_letters_keep_what_came(bench: Workbench) -> None:
    exploding = table("one_row_an_item")
    file = bench.write("1.csv", "items\n1:10|2:20|2:20\n3:bad\n4:40,more\n")
    loaded = bench.load(exploding, file)
    assert (loaded.rows.read, loaded.rows.inserted, loaded.rows.deduplicated, loaded.rows.rejected) == (5, 2, 1, 2)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount", "note") == [(1, 10, "made"), (2, 20, "made")]
    letters = bench.rows(bench.lake.dlq("orders"), "payload", "raw")
    assert letters == [('{"items":"3:bad"}', None), ('{"items":"4:40","_corrupt_record":"4:40,more"}', "4:40,more")]
    fixed = replay_dlq(bench.spark, bench.lake, "orders", exploding, run(1), rule="cast", fix={"items": "'3:30'"})
    assert fixed.replayed == 1
    assert (3, 30) in bench.rows(bench.lake.silver("orders"), "id", "amount")
    again = bench.load(exploding, file)
    assert (again.rows.unchanged, again.rows.retracted, again.rows.unaccounted) == (3, 0, 0)


@pytest.mark.slow
def test_a_row_of_which_several_are_made_has_one_letter_and_comes_back_whole(bench: Workbench) -> None:
    exploding = table("one_row_an_item")
    file = bench.write("1.csv", "items\n1:bad|2:bad|3:30\n1:bad|2:bad|3:30\n4:40\n")
    bench.load(exploding, file)
    assert len(bench.rows(bench.lake.dlq("orders"), "id")) == 2
    fix = {"items": "replace(items, 'bad', '5')"}
    first = replay_dlq(bench.spark, bench.lake, "orders", exploding, run(1), limit=1, fix=fix)
    assert first.rejected == 0
    published = [(1, 5), (2, 5), (3, 30), (4, 40)]
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == published
    assert sorted(bench.rows(bench.lake.dlq("orders"), "status")) == [("open",), ("replayed",)]
    bench.load(exploding, file)
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == published
    assert sorted(bench.rows(bench.lake.dlq("orders"), "status")) == [("open",), ("replayed",)]


@pytest.mark.slow
def test_a_pandas_function_works_on_the_server(bench: Workbench) -> None:
    bench.load(table("in_pandas"), bench.write("1.csv", "id,amount,note\n1,10,x\n2,20,y\n"))
    assert bench.rows(bench.lake.silver("orders"), "id", "amount") == [(1, 20), (2, 40)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nowhere.at_all:clean", "nowhere.at_all:clean cannot be imported: No module named 'nowhere'"),
        ("missing", f"the module '{HERE}' has no function 'missing'"),
        ("HERE", f"{HERE}:HERE is no function"),
        (
            "loses_columns",
            "lacks _batch_id, _batch_order, _record_hash, _source_file, _source_row, __ordinal. Pass on every",
        ),
        ("fails", "fails failed: AnalysisException"),
        ("returns_nothing", "returned NoneType, not a DataFrame"),
    ],
)
def test_a_function_that_does_not_do_is_told_what_is_wrong(bench: Workbench, function: str, message: str) -> None:
    loaded = bench.ingest(table(function), bench.write("1.csv", "id,amount,note\n1,10,x\n"))
    with pytest.raises(TransformError) as raised:
        bench.gate(table(function), loaded)
    assert message in str(raised.value)
