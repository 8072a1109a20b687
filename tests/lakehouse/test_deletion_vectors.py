"""Tables with deletion vectors, which a session's settings switch on: rows, counts and changes are as without them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse import plan_restore, profile_table, restore_table
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.settings import settings_of
from tests.lakehouse.conftest import Workbench, csv_table, run

pytestmark = pytest.mark.spark

VECTORS = {"spark.databricks.delta.properties.defaults.enableDeletionVectors": "true"}
HEAD = "id,amount,note\n"
FIRST = "1,1,a\n2,2,b\n3,3,c\n4,4,d\n"


@pytest.fixture
def vectors(bench: Workbench) -> Iterator[Workbench]:
    with settings_of(bench.spark, VECTORS):
        yield bench


def silver(bench: Workbench) -> list[tuple[Any, ...]]:
    return bench.rows(bench.lake.silver("orders"))


def marked(bench: Workbench, path: str) -> int:
    """How many files the newest commit left in place, with marks at the rows that are no more."""
    return history(bench.spark, path, 1)[0].metrics.get("numTargetDeletionVectorsAdded", 0)


@pytest.mark.slow
def test_updates_deletions_and_what_a_re_run_takes_back_are_counted_and_seen_by_gold(vectors: Workbench) -> None:
    table = csv_table({"sequence_by": [], "delete_when": "note = 'gone'"})
    gold = Gold.model_validate(
        {
            "sql": "SELECT id % 2 AS odd, sum(amount) AS total FROM silver.orders GROUP BY id % 2",
            "load": "replace",
            "partition_by": ["odd"],
        }
    )
    vectors.load(table, vectors.write("1.csv", HEAD + FIRST), day=1)
    vectors.refresh("sums", gold, day=1)
    second = vectors.load(table, vectors.write("2.csv", f"{HEAD}1,9,new\n2,2,gone\n5,5,e\n"), day=2).rows
    assert (second.read, second.updated, second.deleted, second.inserted) == (3, 1, 1, 1)
    assert marked(vectors, vectors.lake.silver("orders")) > 0
    vectors.refresh("sums", gold, day=2)
    assert silver(vectors) == [(1, 9, "new"), (3, 3, "c"), (4, 4, "d"), (5, 5, "e")]
    assert vectors.rows(vectors.lake.gold("sums"), "odd", "total") == [(0, 4), (1, 17)]
    again = vectors.load(table, vectors.write("2.csv", f"{HEAD}5,5,e\n"), day=2).rows
    assert (again.read, again.unchanged, again.written, again.retracted) == (1, 1, 0, 1)
    vectors.refresh("sums", gold, day=2)
    assert silver(vectors) == [(1, 1, "a"), (2, 2, "b"), (3, 3, "c"), (4, 4, "d"), (5, 5, "e")]
    assert vectors.rows(vectors.lake.gold("sums"), "odd", "total") == [(0, 6), (1, 9)]


@pytest.mark.slow
def test_a_table_is_restored_and_profiled_as_it_is(vectors: Workbench) -> None:
    table = csv_table({"sequence_by": []})
    first = vectors.load(table, vectors.write("1.csv", HEAD + FIRST), day=1)
    vectors.load(table, vectors.write("2.csv", f"{HEAD}1,9,new\n"), day=2)
    assert profile_table(vectors.spark, vectors.lake, "silver.orders", run(2)).rows == 4
    assert first.version is not None
    restore_table(
        vectors.spark, vectors.lake, plan_restore(vectors.spark, vectors.lake, "silver.orders", first.version), "r"
    )
    assert silver(vectors) == [(1, 1, "a"), (2, 2, "b"), (3, 3, "c"), (4, 4, "d")]
    assert vectors.load(table, vectors.write("2.csv", f"{HEAD}1,9,new\n"), day=2).rows.updated == 1


@pytest.mark.slow
@pytest.mark.parametrize("load", ["append", "insert", "overwrite"])
def test_a_batch_that_comes_again_smaller_is_counted_as_it_is(vectors: Workbench, load: str) -> None:
    table = csv_table({"load": load, "sequence_by": []})
    whole = vectors.load(table, vectors.write("1.csv", HEAD + FIRST), day=1).rows
    again = vectors.load(table, vectors.write("1.csv", f"{HEAD}1,1,a\n3,3,c\n"), day=1).rows
    assert (whole.read, whole.inserted) == (4, 4)
    assert (again.read, again.inserted + again.unchanged) == (2, 2)
    assert silver(vectors) == [(1, 1, "a"), (3, 3, "c")]
