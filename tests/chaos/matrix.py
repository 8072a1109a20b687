"""Every write of every step, by what is killed and when, by how it is recovered from.

Each case starts from a lake that holds a first day, runs the second with a fault, recovers, and is compared with a lake
that took the same days without one: silver, gold and the DLQ row by row, bronze by the hashes of each batch's rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_ingest.runtime import session
from tests.chaos.child import NO_FAULT, Fault, run_day

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DAYS = {
    1: ["1,10,a", "2,20,b", "3,30,c", "x,1,bad"],
    2: ["2,21,two", "3,5,older", "1,12,gone", "4,40,", "4,40,", "3,31,", "y,1,bad"],
    3: ["1,11,three", "2,30,three", "5,50,e", "z,1,bad"],
}
_PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: {lake}
tables:
  orders:
    source: {{files: "{landing}/{{{{ ds }}}}.csv", format: csv, options: {{header: true}}}}
    extract: {{mode: {mode}}}
    silver: {{columns: {{id: int, amount: int, note: string, day: date}}, {silver}}}
    quality:
      max_reject_rate: 90%
      rules: [{{row_count: {{min: 1}}}}, {{name: small, expect: "amount < 1000"}}]
gold:
  by_note:
    sql: SELECT note, sum(amount) AS total FROM silver.orders GROUP BY note
    load: overwrite
    quality: {{rules: [{{row_count: {{min: 1}}}}]}}
"""


@dataclass(frozen=True)
class Load:
    """A way to load silver: the lines that say so, and the `columns` that it has besides.

    Where not the `whole` run is struck, its writes to silver are: the others are the same as in another load.
    """

    silver: str
    columns: str = ""
    mode: str = "interval"
    whole: bool = False


_NEWEST = "keys: [id], sequence_by: [amount]"
_SOFT = "_deleted_at IS NOT NULL AS deleted"
LOADS = {
    "merge": Load(f"{_NEWEST}, load: merge", whole=True),
    "deletes": Load(f"{_NEWEST}, load: merge, delete_when: note = 'gone'", whole=True),
    "overwrite": Load("keys: [id], load: overwrite", mode="full", whole=True),
    "append": Load("load: append"),
    "insert": Load(f"{_NEWEST}, load: insert"),
    "replace": Load(f"{_NEWEST}, load: replace, replace_where: \"day = '{{{{ ds }}}}'\""),
    "scd2": Load(f"{_NEWEST}, load: scd2, delete_when: note = 'gone'", "_valid_from, _valid_to, _current"),
    "soft deletes": Load(f"{_NEWEST}, load: merge, delete_when: note = 'gone', deletes: soft", _SOFT),
    "partial changes": Load(f"{_NEWEST}, load: merge, delete_when: note = 'gone', ignore_null_updates: true"),
}
VICTIMS = ("task", "server")
MOMENTS = ("before", "during", "after")
RECOVERIES = ("retry", "clear and run again", "the next interval")

State = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Case:
    """One cell of the matrix. `write` is the number of the write that the fault meets, `label` what it is."""

    load: str
    write: int
    label: str
    victim: str
    moment: str
    recovery: str

    def __str__(self) -> str:
        return f"{self.load}, {self.label}, {self.victim} killed {self.moment} it, {self.recovery}"


class Arena:
    """A folder with the landing files, a template lake for each load that holds the first day, and what is expected."""

    def __init__(self, folder: Path, load: str) -> None:
        self.folder, self.load = folder / load, load
        landing = self.folder / "landing"
        landing.mkdir(parents=True)
        for day, rows in DAYS.items():
            date = f"2026-01-{day:02d}"
            lines = ["id,amount,note,day", *(f"{row},{date}" for row in rows)]
            (landing / f"{date}.csv").write_text("\n".join([*lines, ""]))
        self._day("template", 1)
        self._copy("template", "clean")
        self.writes = self._day("clean", 2)
        self._expected = {"clean": self._state("clean")}

    def run(self, case: Case) -> tuple[State, State]:
        """What the lake holds after the fault and the recovery, and what it should hold."""
        lake = f"{case.write}-{case.victim}-{case.moment}-{case.recovery.replace(' ', '-')}"
        self._copy("template", lake)
        self._child(lake, 2, 0, Fault(case.victim, case.moment, case.write))
        expected = "clean"
        if case.recovery == "retry":
            self._day(lake, 2)
        elif case.recovery == "clear and run again":
            self._day(lake, 2, tries=1)
        else:
            self._day(lake, 3)
            self._day(lake, 2, tries=1)
            expected = self._longer()
        try:
            return self._state(lake), self._expected[expected]
        finally:
            shutil.rmtree(self.folder / lake)

    def _longer(self) -> str:
        """The clean lake after one more day."""
        if not (self.folder / "longer").exists():
            self._copy("clean", "longer")
            self._day("longer", 3)
            self._expected["longer"] = self._state("longer")
        return "longer"

    def _day(self, lake: str, day: int, *, tries: int = 0) -> list[str]:
        told = self._child(lake, day, tries)
        assert isinstance(told, list), f"{lake}, day {day}: {told}"
        return told

    def _child(self, lake: str, day: int, tries: int, fault: Fault = NO_FAULT) -> list[str] | str:
        self._use(lake)
        return run_day(self.folder / lake, day, tries=tries, fault=fault)

    def _use(self, lake: str) -> None:
        """The pipeline's file, with its lake where this one is."""
        file = self.folder / lake / "shop.yaml"
        file.parent.mkdir(exist_ok=True)
        places = {"lake": self.folder / lake / "lake", "landing": self.folder / "landing"}
        file.write_text(_PIPELINE.format(silver=LOADS[self.load].silver, mode=LOADS[self.load].mode, **places))

    def _copy(self, source: str, target: str) -> None:
        shutil.copytree(self.folder / source, self.folder / target)

    def _state(self, lake: str) -> State:
        with session() as spark:
            return state_of(spark, self.folder / lake / "lake", LOADS[self.load].columns)


def state_of(spark: SparkSession, lake: Path, besides: str) -> State:
    """What a lake holds, without the columns that say when and by whom; silver has some `besides`."""
    own = ", ".join(filter(None, ["id, amount, note, _sequence, _batch_id", besides]))
    tables = {
        "silver": ("silver/orders", own),
        "gold": ("gold/by_note", "note, total"),
        "dlq": ("dlq/orders", "id, payload, transform(reasons, r -> r.rule), _batch_id, status, attempts"),
        "bronze": ("bronze/orders", "_batch_id, _record_hash"),
    }
    return {
        name: _rows(spark, f"SELECT {columns} FROM delta.`{lake}/{path}`") for name, (path, columns) in tables.items()
    }


def _rows(spark: SparkSession, query: str) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in spark.sql(query).collect()), key=repr)


def cases(arena: Arena) -> Iterator[Case]:
    """All cases of a load; a write that is cut short is only tried again."""
    writes = [
        (number, label)
        for number, label in enumerate(arena.writes)
        if LOADS[arena.load].whole or "silver/" in label or "tombstones" in label
    ]
    for (number, label), victim, moment, recovery in product(writes, VICTIMS, MOMENTS, RECOVERIES):
        if moment != "during" or recovery == "retry":
            yield Case(arena.load, number, label, victim, moment, recovery)
