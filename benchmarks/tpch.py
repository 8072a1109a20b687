"""TPC-H's tables as CSV (https://www.tpc.org/tpch/), and a batch of changes to `orders`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

ORDERS = {
    "o_orderkey": "bigint",
    "o_custkey": "bigint",
    "o_orderstatus": "string",
    "o_totalprice": "decimal(15,2)",
    "o_orderdate": "date",
    "o_orderpriority": "string",
    "o_clerk": "string",
    "o_shippriority": "int",
    "o_comment": "string",
}
_ORDERS_PER_SCALE = 1_500_000
_NEWEST = 20
"""The batch takes its keys from the newest twentieth, every fifth of them: one in a hundred of all."""
_EVERY = 5
_GAP = 8
"""Of 32 numbers TPC-H uses the first eight as keys of orders, so a key with this added is new."""


@dataclass(frozen=True)
class Orders:
    """`orders` at a scale factor: `table`, and the `batch` of as many updates as inserts, each `changes` rows."""

    table: Path
    batch: Path
    changes: int


def make_orders(folder: Path, scale: float) -> Orders:
    """Generates `orders` and the batch: 1 % updates and 1 % inserts, all among the newest 5 % of the keys."""
    table = generate(folder, "orders", scale)
    rows = round(_ORDERS_PER_SCALE * scale)
    changes = 0
    with table.open() as lines, (folder / "changes.csv").open("w") as batch:
        batch.write(next(lines))
        for line in islice(lines, rows - rows // _NEWEST, None, _EVERY):
            batch.writelines(_changes(line))
            changes += 1
    return Orders(table, folder / "changes.csv", changes)


def generate(folder: Path, table: str, scale: float) -> Path:
    """The CSV file of one of TPC-H's tables, in `folder`."""
    tool = str(Path(sys.executable).with_name("tpchgen-cli"))
    folder.mkdir(parents=True, exist_ok=True)
    command = [tool, "csv", "--scale-factor", str(scale), "--tables", table, "--output-dir", str(folder), "--quiet"]
    subprocess.run(command, check=True)
    return folder / f"{table}.csv"


def _changes(line: str) -> Iterator[str]:
    """An update of the order in a line, and a new order like it."""
    key, customer, _, price, rest = line.split(",", 4)
    yield f"{key},{customer},P,{float(price) + 1:.2f},{rest}"
    yield f"{int(key) + _GAP},{customer},O,{price},{rest}"
