"""Profiles: what is measured of a column of each type, that it is kept, and what it is compared with."""

from __future__ import annotations

import json
import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.lakehouse import LakehouseError, SourceNotFound, TableProfile, profile_before, profile_table
from airflow_ingest.lakehouse.profile_book import ColumnProfile
from tests.lakehouse.conftest import Workbench, run

pytestmark = pytest.mark.spark

ODD = "größe in `cm`.raw; {x}=1"
COLUMNS: Mapping[str, tuple[str, Sequence[Any]]] = {
    "id": ("int", [5, 1, 4, 2, 3]),
    "big": ("bigint", [2**62, -(2**62), None, 7, 7]),
    "price": ("decimal(12,2)", [Decimal("10.50"), Decimal("0.10"), None, Decimal("99999.99"), Decimal("3.00")]),
    "widest": ("decimal(38,2)", [Decimal("9" * 36 + ".99")] * 4 + [None]),
    "latest": ("timestamp_ntz", [datetime(9999, 12, 31, 23, 59, 59, 999999)] * 5),
    "ratio": ("double", [0.5, math.nan, None, math.nan, -1.5]),
    "endless": ("float", [math.inf, 1.0, 2.0, None, 2.0]),
    ODD: ("string", ["Zoë", "", None, "a'b\\c", "日本語"]),
    "open": ("boolean", [True, False, None, True, None]),
    "day": ("date", [date(2024, 2, 29), None, date(1999, 1, 1), date(2024, 1, 1), None]),
    "at": ("timestamp", [datetime(2024, 1, 1, 12), None, datetime(2023, 1, 1), None, datetime(2024, 1, 2, 0, 0, 1)]),
    "local": ("timestamp_ntz", [datetime(2024, 1, 1, 12), None, None, None, None]),
    "nothing": ("string", [None] * 5),
    "tags": ("array<int>", [[1, 2, 3], [], None, [1], None]),
    "marks": ("map<string,int>", [{"a": 1}, None, {}, {"b": 2, "c": 3}, None]),
    "point": ("struct<x: int, `the y`: string>", [{"x": 1, "the y": "a"}, None, {"x": 2, "the y": "b"}, None, None]),
    "raw": ("binary", [b"abc", None, b"", b"xy", None]),
    "_id": ("string", ["a", "b", "c", "d", "d"]),
}
"""What a column of each kind holds; ours is `_batch_id`, and `_id` is the source's."""


def write(bench: Workbench, name: str = "silver/orders", rows: int = 5) -> None:
    """Writes the first `rows` of `COLUMNS`, and a column of ours, as the table's next version."""
    fields = ", ".join(f"`{column.replace('`', '``')}` {kind}" for column, (kind, _) in COLUMNS.items())
    path = f"{bench.lake.root}/{name}"
    bench.spark.sql(
        f"CREATE TABLE IF NOT EXISTS delta.`{path}` ({fields}, _batch_id string) USING delta "
        "TBLPROPERTIES ('delta.columnMapping.mode' = 'name')"
    )
    if not rows:
        return
    values = [(*(column[row] for _, column in COLUMNS.values()), "b1") for row in range(rows)]
    written = bench.spark.createDataFrame(values, bench.spark.read.format("delta").load(path).schema)
    written.write.format("delta").mode("overwrite").save(path)


def profiled(bench: Workbench, table: str = "silver.orders", **asked: Any) -> TableProfile:
    return profile_table(bench.spark, bench.lake, table, run(1), **asked)


def by_name(profile: TableProfile) -> dict[str, ColumnProfile]:
    return {column.name: column for column in profile.columns}


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_every_column_is_measured_as_python_measures_it(bench: Workbench) -> None:
    write(bench)
    profile = profiled(bench, all_columns=True)
    assert (profile.table, profile.version, profile.rows, profile.kept) == ("silver.orders", 1, 5, False)
    found = by_name(profile)
    assert list(found) == [*COLUMNS, "_batch_id"]
    for name, (kind, values) in COLUMNS.items():
        column, filled = found[name], [value for value in values if value is not None]
        assert (column.nulls, column.null_rate) == (5 - len(filled), (5 - len(filled)) / 5), name
        assert column.type.split("<")[0] == kind.split("<")[0]
        if kind.startswith(("array", "map", "binary")) or kind == "string":
            lengths = [len(value) for value in filled]
            expected = (min(lengths), sum(lengths) / len(lengths), max(lengths)) if lengths else (None, None, None)
            assert (column.min_length, column.mean_length, column.max_length) == expected, name
        else:
            assert (column.min_length, column.mean_length, column.max_length) == (None, None, None), name
        if kind.startswith(("array", "map", "binary", "struct")):
            assert (column.distinct, column.min, column.max, column.mean, column.median) == (None,) * 5, name
            continue
        numbers = [value for value in filled if value == value]  # NaN is not itself
        assert column.distinct == len(set(numbers)) + (len(numbers) < len(filled)), name
        assert column.nans == (len(filled) - len(numbers) if kind in ("double", "float") else None), name
        if kind not in ("float", "timestamp", "timestamp_ntz"):
            extremes = (text(min(numbers)), text(max(numbers))) if numbers else (None, None)
            assert (column.min, column.max) == extremes, name
        if kind in ("int", "bigint", "double", "decimal(12,2)"):
            assert column.mean == pytest.approx(float(sum(map(float, numbers)) / len(numbers)), abs=1e-6), name
            assert column.median == text(statistics.median_low(numbers)), name
    _check_the_edges(found)
    assert TableProfile.from_dict(json.loads(json.dumps(profile.to_dict(), allow_nan=False))) == profile
    assert "_batch_id" not in by_name(profiled(bench))


def _check_the_edges(found: Mapping[str, ColumnProfile]) -> None:
    """Values at the edge of their type, and texts that Python writes in another way."""
    assert (found["endless"].min, found["endless"].max, found["endless"].mean) == ("1.0", "Infinity", None)
    assert found["widest"].max == "9" * 36 + ".99"
    assert found["widest"].mean == pytest.approx(1e36)
    assert (found["widest"].median, found["latest"].median) == (found["widest"].max, "9999-12-31 23:59:59.999999")
    assert (found["at"].min, found["at"].max) == ("2023-01-01 00:00:00", "2024-01-02 00:00:01")
    assert found["at"].median == "2024-01-01 12:00:00"
    assert found["local"].max == "2024-01-01 12:00:00"
    assert found["day"].median == "2024-01-01"


@pytest.mark.slow
def test_an_empty_table_has_columns_without_values(bench: Workbench) -> None:
    write(bench, rows=0)
    profile = profiled(bench)
    assert (profile.version, profile.rows) == (0, 0)
    for column in profile.columns:
        assert (column.nulls, column.null_rate, column.min, column.mean, column.median) == (0, None, None, None, None)
        assert column.distinct in (0, None)
    assert by_name(profile)["id"].distinct == 0


@pytest.mark.slow
def test_what_is_hidden_or_long_is_not_shown(bench: Workbench) -> None:
    long = "x" * 1000
    bench.spark.sql(f"SELECT 7 AS `Salary`, '{long}' AS note").write.format("delta").save(bench.lake.gold("pay"))
    salary, note = profiled(bench, "gold.pay", hidden=["salary"]).columns
    assert (salary.hidden, salary.nulls, salary.distinct) == (True, 0, 1)
    assert (salary.min, salary.max, salary.mean, salary.median) == (None, None, None, None)
    assert note.max == "x" * 200 + "…"
    assert note.max_length == 1000
    book = bench.spark.read.format("delta").load(bench.lake.ops("profiles")).where("name = 'Salary'")
    kept = book.select("min", "max", "mean", "median").collect()
    assert [tuple(row) for row in kept] == [(None, None, None, None)]
    assert by_name(profiled(bench, "gold.pay"))["Salary"].max == "7"


@pytest.mark.slow
def test_a_profile_is_kept_used_again_and_compared_with_the_one_before(bench: Workbench) -> None:
    path = bench.lake.silver("orders")

    def load(rows: int) -> None:
        bench.spark.range(rows).write.format("delta").mode("overwrite").save(path)

    with pytest.raises(SourceNotFound, match=r"silver\.orders was never loaded: there is no table at .*silver/orders"):
        profiled(bench)
    load(2)
    load(3)
    first = profiled(bench)
    assert profile_before(bench.spark, bench.lake, first) is None
    load(5)
    second = profiled(bench)
    again = profiled(bench)
    assert (second.version, second.rows, second.kept) == (2, 5, False)
    assert again == second.model_copy(update={"kept": True, "at": again.at, "seconds": 0.0})
    before = profile_before(bench.spark, bench.lake, again)
    assert before is not None
    assert (before.version, before.rows, before.columns) == (1, 3, first.columns)
    old = profiled(bench, version=0)
    assert (old.rows, old.kept) == (2, False)
    assert profile_before(bench.spark, bench.lake, old) is None
    with pytest.raises(LakehouseError, match=r"silver\.orders has no version 9: the newest one is 2"):
        profiled(bench, version=9)
    rows = bench.rows(bench.lake.ops("profiles"), "layer", "table", "version", "run_id", "name", "rows")
    assert rows == [("silver", "orders", at, "run_1", "id", count) for at, count in enumerate((2, 3, 5))]


@pytest.mark.slow
def test_a_table_made_anew_is_not_taken_for_the_old_one(bench: Workbench) -> None:
    for rows in (3, 8):
        bench.spark.range(rows).write.format("delta").save(bench.lake.silver("orders"))
        profile = profiled(bench)
        assert (profile.version, profile.rows) == (0, rows)
        before = profile_before(bench.spark, bench.lake, profile)
        shutil.rmtree(bench.lake.silver("orders"))
    assert before is not None
    assert before.rows == 3


@pytest.mark.slow
def test_a_version_whose_files_are_gone_is_told_so(bench: Workbench) -> None:
    path = bench.lake.silver("orders")
    for rows in (3, 5):
        bench.spark.range(rows).write.format("delta").mode("overwrite").save(path)
    for file in bench.spark.read.format("delta").option("versionAsOf", 0).load(path).inputFiles():
        Path(file.removeprefix("file:")).unlink()
    with pytest.raises(LakehouseError, match=r"silver\.orders: version 0 cannot be read any more"):
        profiled(bench, version=0)
    assert profiled(bench).rows == 5


@pytest.mark.slow
def test_profiles_of_several_tables_begin_the_book_together(bench: Workbench) -> None:
    tables = [f"t{number}" for number in range(4)]
    for rows, table in enumerate(tables):
        bench.spark.range(rows).write.format("delta").save(bench.lake.silver(table))
    with ThreadPoolExecutor(max_workers=len(tables)) as pool:
        found = list(pool.map(lambda table: profiled(bench, f"silver.{table}"), tables))
    assert [profile.rows for profile in found] == [0, 1, 2, 3]
    assert bench.rows(bench.lake.ops("profiles"), "table", "rows") == list(zip(tables, range(4), strict=True))


@pytest.mark.slow
def test_three_hundred_columns_are_one_scan(bench: Workbench) -> None:
    columns = [f"CAST(id * {at} AS {'int' if at % 2 else 'string'}) AS c{at}" for at in range(300)]
    path = bench.lake.gold("wide")
    bench.spark.range(200).selectExpr(*columns).write.format("delta").save(path)
    found = by_name(profiled(bench, "gold.wide"))
    assert len(found) == 300
    assert (found["c299"].max, found["c299"].distinct) == (str(199 * 299), 200)
    assert found["c298"].mean_length == sum(len(str(row * 298)) for row in range(200)) / 200


@pytest.mark.slow
def test_distinct_values_of_many_rows_are_about_right(bench: Workbench) -> None:
    path = bench.lake.gold("many")
    bench.spark.range(50_000).selectExpr("id", "id % 9000 AS few").write.format("delta").save(path)
    identity, few = profiled(bench, "gold.many").columns
    assert identity.distinct == pytest.approx(50_000, rel=0.05)
    assert few.distinct == pytest.approx(9000, rel=0.05)
    assert float(identity.median or 0) == pytest.approx(25_000, rel=0.01)
