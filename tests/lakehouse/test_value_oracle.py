"""Values that get lost easily, against what Python makes of them: local times around a change of clocks in several
zones, structs, long decimals, letters that look alike; and a table with a thousand columns.
"""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_ingest.config import Table
from tests.lakehouse.conftest import Workbench, csv_table

pytestmark = [pytest.mark.spark, pytest.mark.slow]
log = logging.getLogger(__name__)

ZONES = ("UTC", "Europe/Berlin", "America/New_York")
TIMES = {
    "before the gap": "2026-03-29 01:59:59.999999",
    "in Berlin's gap": "2026-03-29 02:30:00",
    "after the gap": "2026-03-29 03:00:00",
    "twice in Berlin": "2026-10-25 02:30:00",
    "in New York's gap": "2026-03-08 02:30:00",
    "twice in New York": "2026-11-01 01:30:00",
    "summer, told": "2026-10-25 02:30:00+02:00",
    "winter, told": "2026-10-25 02:30:00+01:00",
    "of another zone": "2026-03-29 02:30:00-11:30",
    "long ago": "1893-04-01 00:00:00",
    "none": None,
}
LOOKALIKES = (
    "é",
    "e\u0301",
    "É",
    "ß",
    "ss",
    "İ",
    "i",
    "\u200bx",
    "x",
    "x ",
    " x",
    "👩‍👩‍👧",
    "👩",
    "مرحبا",
    "\\",
    "'",
    "`",
    '"',
    "",
)
LONGEST = "12345678901234567890.123456789012345678"
DECIMALS = (
    LONGEST,
    f"-{LONGEST}",
    "0.000000000000000001",
    "99999999999999999999.999999999999999999",
    "-0",
    "1E+3",
    None,
)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("load", ["merge", "scd2"])
def test_times_and_decimals_are_what_they_were(load: str, zone: str, bench: Workbench) -> None:
    columns = {"id": "string", "at": "timestamp", "clock": "timestamp_ntz", "amount": "decimal(38, 18)", "n": "int"}
    table = json_table({"columns": columns, "keys": ["id"], "sequence_by": ["n"], "load": load})
    amounts = dict(zip(TIMES, DECIMALS * 2, strict=False))
    rows = [{"id": name, "at": text, "clock": clock(text), "amount": amounts[name]} for name, text in TIMES.items()]
    bench.spark.conf.set("spark.sql.session.timeZone", zone)
    try:
        for day in (1, 2, 2):
            file = bench.write(f"{day}.json", "".join(json.dumps({**row, "n": day}) + "\n" for row in rows))
            loaded = bench.load(table, file, day=day)
            assert (loaded.rows.unaccounted, loaded.rows.rejected) == (0, 0)
        silver = bench.spark.read.format("delta").load(bench.lake.silver("orders"))
        silver = silver if load == "merge" else silver.where("_current")
        found = silver.selectExpr("id", "unix_micros(at)", "cast(clock AS string)", "cast(amount AS string)").collect()
    finally:
        bench.spark.conf.set("spark.sql.session.timeZone", "UTC")
    expected = [(name, micros(text, zone), clock(text), exactly(amounts[name])) for name, text in TIMES.items()]
    assert sorted(map(tuple, found)) == sorted(expected)


def json_table(silver: dict[str, Any]) -> Table:
    return Table.model_validate({"source": {"files": "unused", "format": "json"}, "silver": silver})


def micros(text: str | None, zone: str) -> int | None:
    if text is None:
        return None
    when = datetime.fromisoformat(text)
    when = when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone))
    since = when.astimezone(timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


def clock(text: str | None) -> str | None:
    return None if text is None else text[:26].split("+")[0].removesuffix("-11:30")


def exactly(amount: str | None) -> str | None:
    return (
        None if amount is None else f"{Decimal(amount):.18f}".replace("-0.000000000000000000", "0.000000000000000000")
    )


@pytest.mark.parametrize("load", ["merge", "scd2", "append"])
def test_structs_and_letters_are_what_they_were(load: str, bench: Workbench) -> None:
    keys = {"keys": ["id"], "sequence_by": ["n"]} if load != "append" else {}
    columns = {
        "id": "string",
        "n": "int",
        "place": "struct<city: string, at: struct<seen: array<date>, lat: decimal(38, 18)>>",
        "tags": {"from": "tags"},
    }
    table = json_table({"load": load, "columns": columns, **keys})
    truth: dict[str, Any] = {}
    for day in (1, 2):
        rows: list[dict[str, Any]] = [
            {
                "id": name,
                "n": day,
                "place": None
                if number % 4 == 3
                else {"city": name * day, "at": {"lat": LONGEST, "seen": ["2026-03-29"]}},
                "tags": [{"k": name, "v": None}] * (number % 3),
            }
            for number, name in enumerate(LOOKALIKES)
        ]
        text = "".join(json.dumps(row, ensure_ascii=day == 1) + "\n" for row in rows)
        loaded = bench.load(table, bench.write(f"{day}.json", text), day=day)
        assert (loaded.rows.unaccounted, loaded.rows.inserted + loaded.rows.updated) == (0, len(rows))
        truth = {row["id"]: row for row in rows}
    silver = bench.spark.read.format("delta").load(bench.lake.silver("orders"))
    silver = silver.where("_current") if load == "scd2" else silver.where("n = 2")
    found = {row.id: row for row in silver.collect()}
    assert set(found) == set(truth)
    for name, row in truth.items():
        place, tags = found[name].place, found[name].tags
        assert (place is None) is (row["place"] is None)
        if place is not None:
            assert (place.city, place.at.lat) == (name * 2, Decimal(LONGEST))
            assert [day.isoformat() for day in place.at.seen] == ["2026-03-29"]
        assert [(tag.k, tag.v) for tag in tags] == [(tag["k"], tag["v"]) for tag in row["tags"]]


def test_a_thousand_columns_are_loaded_in_bearable_time(bench: Workbench) -> None:
    names = [f"c{number}" for number in range(1000)]
    table = csv_table(
        {"columns": dict.fromkeys(names, "int"), "keys": ["c0"], "sequence_by": ["c1"]},
        quality={"max_reject_rate": "100%"},
    )
    for day in (1, 2):
        rows = [
            ",".join(str(row + number + day) for number in range(1000)) for row in range(100 * day, 100 * day + 150)
        ]
        bad = ",".join(["7", "1", *("bad" for _ in names[2:])])
        file = bench.write(f"{day}.csv", "\n".join([",".join(names), *rows, bad, ""]))
        ingested = bench.ingest(table, file, day=day)
        gate = bench.gate(table, ingested, day=day)
        merged = bench.merge(table, gate, day=day)
        took = {"bronze": ingested.seconds, "gate": gate.seconds, "silver": merged.seconds}
        log.warning("a thousand columns, day %s: %s", day, took)
        assert (merged.rows.read, merged.rows.rejected, merged.rows.unaccounted) == (151, 1, 0)
        assert len(gate.rejections) == 998
    assert len(bench.rows(bench.lake.silver("orders"), "c0")) == 251
