"""Every load, against a plain Python account of what it promises: days that come late, twice, corrected or empty, with
duplicates, NULLs, values that do not cast, keys that are deleted and come back, letters of all alphabets,
decimals, local times around changes of clocks, and structs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_ingest.config import Table
from tests.lakehouse.conftest import Workbench, csv_table
from tests.lakehouse.test_value_oracle import DECIMALS, TIMES, ZONES, exactly, micros

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = [pytest.mark.spark, pytest.mark.slow]

HEAD = ("amount", "at", "day", "id", "note", "op", "price", "seen")
VALUES = ("amount", "note", "price", "seen", "place")
TYPES: dict[str, Any] = {
    "id": "int",
    "at": "int",
    "day": "date",
    "amount": "int",
    "note": "string",
    "price": "decimal(38, 18)",
    "seen": "timestamp",
    "place": {"expr": "named_struct('city', note, 'n', amount)"},
}
DAYS = 3
ZONE = "spark.sql.session.timeZone"
examples = partial(
    settings,
    deadline=None,
    database=None,
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@dataclass(frozen=True)
class Row:
    """A row as the source has it; `sequence` is its place among the rows of its key."""

    amount: str | None
    at: str | None
    day: str
    id: str | None
    note: str | None
    op: str
    price: str | None
    seen: str | None
    zone: str
    arrived: int

    @property
    def sequence(self) -> tuple[int, int, str]:
        text = as_json({name: getattr(self, name) for name in HEAD})
        return int(self.at or 0), self.arrived, hashlib.sha256(text.encode()).hexdigest()

    @property
    def moment(self) -> tuple[int | None, int | None]:
        return self.key, int(self.at) if self.at else None

    @property
    def is_good(self) -> bool:
        """Whether a row with keys is accepted; a deletion needs no more than its key."""
        return self.id is not None and (self.op == "D" or self.casts)

    @property
    def casts(self) -> bool:
        return self.amount is None or self.amount.isdigit()

    @property
    def key(self) -> int | None:
        return int(self.id) if self.id else None

    @property
    def value(self) -> tuple[Any, ...]:
        place = as_json({"city": self.note, "n": self.amount})
        amount = int(self.amount) if self.amount else None
        return (self.key, amount, self.note, exactly(self.price), micros(self.seen, self.zone), place)


Delivery = tuple[int, list[Row]]
Oracle = Callable[[Mapping[int, list[Row]]], list[tuple[Any, ...]]]


def appended(days: Mapping[int, list[Row]]) -> list[tuple[Any, ...]]:
    return [row.value for rows in days.values() for row in rows if row.casts]


def first(days: Mapping[int, list[Row]]) -> list[tuple[Any, ...]]:
    return [min(rows, key=lambda row: row.sequence).value for rows in by_key(every(days)).values()]


def newest(days: Mapping[int, list[Row]]) -> list[tuple[Any, ...]]:
    ends = (max(rows, key=lambda row: row.sequence) for rows in by_key(every(days)).values())
    return [row.value for row in ends if row.op != "D"]


def states(days: Mapping[int, list[Row]], *, partial: bool, soft: bool) -> list[tuple[Any, ...]]:
    """What is left of each key, walking through its changes; softly deleted, its last values and that it is deleted."""
    found: list[tuple[Any, ...]] = []
    for rows in by_key(every(days)).values():
        state: tuple[Any, ...] | None = None
        deleted = False
        for row in sorted(rows, key=lambda row: row.sequence):
            if row.op == "D":
                deleted = True
            elif partial and state is not None and not deleted:
                state = filled(row.value, state)
            else:
                state, deleted = row.value, False
        if state is not None and (soft or not deleted):
            found.append((*state, deleted) if soft else state)
    return found


def newest_day(days: Mapping[int, list[Row]]) -> list[tuple[Any, ...]]:
    return newest({max(days): days[max(days)]})


def each_day(days: Mapping[int, list[Row]]) -> list[tuple[Any, ...]]:
    inside = {number: [row for row in rows if row.day == date(number)] for number, rows in days.items()}
    return [value for number, rows in inside.items() for value in newest({number: rows})]


def versions(days: Mapping[int, list[Row]], *, partial: bool) -> list[tuple[Any, ...]]:
    """What was valid when, walking through each key's changes."""
    found: list[tuple[Any, ...]] = []
    for rows in by_key(every(days)).values():
        last: dict[int, tuple[Any, ...] | None] = {}
        now: tuple[Any, ...] | None = None
        for row in sorted(rows, key=lambda row: row.sequence):
            now = None if row.op == "D" else filled(row.value, now) if partial else row.value
            last[int(row.at or 0)] = now
        state: tuple[Any, ...] | None = None
        since: int | None = None
        for at, value in sorted(last.items()):
            if state is not None and value != state:
                found.append((*state, since, at, False))
            since = since if value == state else at
            state = value
        if state is not None:
            found.append((*state, since, None, True))
    return found


def filled(value: tuple[Any, ...], before: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """`value`, and where that has none, what was there `before`."""
    return tuple(old if new is None else new for old, new in zip(before or value, value, strict=True))


def every(days: Mapping[int, list[Row]]) -> list[Row]:
    return [row for _, rows in sorted(days.items()) for row in rows if row.is_good and row.at is not None]


def by_key(rows: Iterable[Row]) -> dict[int | None, list[Row]]:
    found: dict[int | None, list[Row]] = {}
    for row in rows:
        found.setdefault(row.key, []).append(row)
    return found


def date(number: int) -> str:
    return f"2026-01-{number:02d}"


OPERATIONS = {"column": "op", "insert": ["I"], "update": ["U"], "delete": ["D"]}
LOADS: dict[str, tuple[dict[str, Any], Oracle]] = {
    "append": ({"load": "append"}, appended),
    "insert": ({"load": "insert", "keys": ["id"], "sequence_by": ["at"]}, first),
    "insert, as it comes": ({"load": "insert", "keys": ["id"]}, first),
    "merge": ({"keys": ["id"], "sequence_by": ["at"]}, newest),
    "merge with operations": ({"keys": ["id"], "sequence_by": ["at"], "operations": OPERATIONS}, newest),
    "merge, softly deleted": (
        {"keys": ["id"], "sequence_by": ["at"], "operations": OPERATIONS, "deletes": "soft"},
        partial(states, partial=False, soft=True),
    ),
    "merge of partial changes": (
        {"keys": ["id"], "sequence_by": ["at"], "operations": OPERATIONS, "ignore_null_updates": True},
        partial(states, partial=True, soft=False),
    ),
    "merge of partial changes, softly deleted": (
        {
            "keys": ["id"],
            "sequence_by": ["at"],
            "operations": OPERATIONS,
            "ignore_null_updates": True,
            "deletes": "soft",
        },
        partial(states, partial=True, soft=True),
    ),
    "replace": (
        {"load": "replace", "replace_where": "day = '{{ ds }}'", "keys": ["id"], "sequence_by": ["at"]},
        each_day,
    ),
    "scd2": (
        {"load": "scd2", "keys": ["id"], "sequence_by": ["at"], "track": [*VALUES], "operations": OPERATIONS},
        partial(versions, partial=False),
    ),
    "scd2 of partial changes": (
        {
            "load": "scd2",
            "keys": ["id"],
            "sequence_by": ["at"],
            "track": [*VALUES],
            "operations": OPERATIONS,
            "ignore_null_updates": True,
        },
        partial(versions, partial=True),
    ),
    "overwrite": ({"load": "overwrite", "keys": ["id"], "sequence_by": ["at"]}, newest_day),
}
BY_BATCH = {"insert, as it comes", "replace", "overwrite"}
"""Loads for which it matters in which batch a row comes."""
VERSIONS = {load for load, (silver, _) in LOADS.items() if silver.get("load") == "scd2"}
DELETING = {load for load, (silver, _) in LOADS.items() if "operations" in silver}


def rows_of(number: int, load: str, zone: str) -> st.SearchStrategy[list[Row]]:
    row = st.builds(
        Row,
        amount=st.one_of(st.none(), st.integers(0, 9).map(str), st.just("bad")),
        at=moments(load),
        day=st.sampled_from([date(number)] * 5 + [date(9)]) if load == "replace" else st.just(date(number)),
        id=st.one_of(st.integers(0, 5).map(str), st.integers(0, 5).map(str), st.none()),
        note=st.one_of(st.none(), st.sampled_from(["x", "Zürich", "東京", "it's", 'say "no"', "a,b", "🚲"])),
        op=st.sampled_from("IUD") if load in DELETING else st.just("I"),
        price=st.sampled_from(DECIMALS),
        seen=st.sampled_from([*TIMES.values()]),
        zone=st.just(zone),
        arrived=st.just(number),
    )
    return st.lists(row, max_size=12).flatmap(lambda rows: st.sampled_from([rows, rows + rows[:2]]))


def moments(load: str) -> st.SearchStrategy[str | None]:
    if load == "insert, as it comes":
        return st.just("0")
    some = st.integers(0, 9 if load in VERSIONS else 5).map(str)
    return st.one_of(some, some, some, st.none()) if load in VERSIONS else some


def deliveries(load: str, zone: str) -> st.SearchStrategy[list[Delivery]]:
    day = st.integers(1, DAYS).flatmap(lambda number: st.tuples(st.just(number), rows_of(number, load, zone)))
    return st.lists(day, min_size=2, max_size=4)


@pytest.fixture
def benches(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Iterator[Workbench]]:
    """A new lake for each example."""

    def all_of_them() -> Iterator[Workbench]:
        while True:
            yield Workbench(spark, tmp_path_factory.mktemp("lake"))

    zone = spark.conf.get(ZONE)
    yield all_of_them()
    spark.conf.set(ZONE, zone or "UTC")


@pytest.mark.parametrize("load", LOADS)
@examples(max_examples=6)
@given(data=st.data())
def test_the_table_is_what_the_rows_make_of_it_in_whatever_order_they_come(
    load: str, data: st.DataObject, benches: Iterator[Workbench]
) -> None:
    bench, (silver, oracle) = next(benches), LOADS[load]
    table, days, zone = table_of(silver), dict[int, list[Row]](), data.draw(st.sampled_from(ZONES))
    bench.spark.conf.set(ZONE, zone)
    for number, rows in data.draw(deliveries(load, zone)):
        days[number] = rows
        loaded = bench.load(table, bench.write(f"{number}.csv", as_csv(rows)), day=number)
        good = [row for row in rows if (row.is_good if silver.get("keys") else row.casts)]
        good = [row for row in good if load != "replace" or row.day == date(number)]
        good = [row for row in good if load not in VERSIONS or row.at is not None]
        assert (loaded.rows.read, loaded.rows.unaccounted) == (len(rows), 0)
        assert loaded.rows.rejected == len(rows) - len(good)
        if silver.get("keys"):
            apart = {row.moment if load in VERSIONS else row.key for row in good}
            assert loaded.rows.deduplicated == len(good) - len(apart)
        assert table_now(bench, silver) == sorted(oracle(days), key=repr), (load, days)


@pytest.mark.parametrize("load", [load for load in LOADS if load not in BY_BATCH])
@examples(max_examples=2)
@given(data=st.data())
def test_the_same_rows_cut_into_batches_differently_end_in_the_same_table(
    load: str, data: st.DataObject, benches: Iterator[Workbench]
) -> None:
    zone = data.draw(st.sampled_from(ZONES))
    lists = data.draw(st.lists(rows_of(1, load, zone), min_size=2, max_size=2))
    drawn = [row for rows in lists for row in rows]
    rows = [replace(row, at=str(number)) for number, row in enumerate(drawn)]
    silver, oracle = LOADS[load]
    table = table_of(silver)
    for _ in range(2):
        bench, cuts = next(benches), [data.draw(st.integers(1, DAYS)) for _ in rows]
        bench.spark.conf.set(ZONE, zone)
        for day in data.draw(st.permutations(sorted({*cuts, 1}))):
            batch = [row for row, cut in zip(rows, cuts, strict=True) if cut == day]
            bench.load(table, bench.write(f"{day}.csv", as_csv(batch)), day=day)
        assert table_now(bench, silver) == sorted(oracle({1: rows}), key=repr), (load, cuts, rows)


@pytest.mark.parametrize("load", ["append", "replace"])
def test_a_re_run_counts_its_own_rows_alone_where_files_hold_those_of_others(load: str, bench: Workbench) -> None:
    table, head = table_of(LOADS[load][0]), ",".join(HEAD)
    for day in (1, 2):
        bench.load(
            table, bench.write(f"{day}.csv", f"{head}\n1,1,{date(day)},1,x,I,,\n2,1,{date(day)},2,x,I,,\n"), day=day
        )
    path = bench.lake.silver("orders")
    bench.spark.sql(f"OPTIMIZE delta.`{path}`").collect()
    again = bench.load(table, bench.write("1.csv", f"{head}\n3,1,{date(1)},1,x,I,,\n"), day=1)
    assert (again.rows.read, again.rows.inserted, again.rows.unaccounted) == (1, 1, 0)
    assert bench.rows(path, "id", "amount") == [(1, 1), (1, 3), (2, 2)]


def table_now(bench: Workbench, silver: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Silver's rows as the oracles give them, sorted."""
    columns = ["id", "amount", "note", "cast(price AS string)", "unix_micros(seen)", "to_json(place)"]
    columns += ["_valid_from", "_valid_to", "_current"] if silver.get("load") == "scd2" else []
    columns += ["_deleted_at IS NOT NULL"] if silver.get("deletes") == "soft" else []
    rows = bench.spark.read.format("delta").load(bench.lake.silver("orders")).selectExpr(*columns).collect()
    return sorted(map(tuple, rows), key=repr)


def table_of(silver: dict[str, Any]) -> Table:
    return csv_table({"keys": [], "sequence_by": [], **silver, "columns": TYPES}, quality={"max_reject_rate": "100%"})


def as_csv(rows: Iterable[Row]) -> str:
    lines = (",".join(quoted(getattr(row, name)) for name in HEAD) for row in rows)
    return "".join(f"{line}\n" for line in (",".join(HEAD), *lines))


def as_json(fields: Mapping[str, Any]) -> str:
    """As Spark writes them."""
    there = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(there, ensure_ascii=False, separators=(",", ":"))


def quoted(value: str | None) -> str:
    return "" if value is None else '"' + value.replace('"', '""') + '"'
