"""Runs the benchmarks and prints what was promised beside what was measured; exits 1 if a promise is broken."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from benchmarks import day, ingest, merge, parsing, planning, quality, running
from benchmarks.measuring import Comparison

SUITES: dict[str, Callable[[], Iterator[Comparison]]] = {
    "parsing": parsing.compare,
    "planning": planning.compare,
    "day": day.compare,
    "ingest": ingest.compare,
    "merge": merge.compare,
    "quality": quality.compare,
    "running": running.compare,
}


def main() -> int:
    """Run the suites that are named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", help=f"of: {', '.join(SUITES)}")
    suites = parser.parse_args().suites or list(SUITES)
    if unknown := set(suites) - set(SUITES):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are: {', '.join(SUITES)}")
    found = [comparison for suite in suites for comparison in SUITES[suite]()]
    _show(found)
    return 0 if all(comparison.kept for comparison in found) else 1


def _show(found: list[Comparison]) -> None:
    table = Table("what / against what", "ours", "theirs", "ratio", "promised", "kept")
    for one in found:
        table.add_row(
            one.name,
            _spread(one.ours, one.unit),
            _spread(one.theirs, one.unit),
            f"{one.ratio:.2f}",
            "" if one.limit is None else f"≤ {one.limit:.2f}",
            "" if one.limit is None else "yes" if one.kept else "NO",
        )
    Console(width=160).print(table)


def _spread(values: tuple[float, ...], unit: str) -> str:
    return f"{statistics.median(values):.2f} {unit} ({min(values):.2f}…{max(values):.2f})"


if __name__ == "__main__":
    sys.exit(main())
