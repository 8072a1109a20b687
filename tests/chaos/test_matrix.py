"""Killed at any write and recovered in any way, the lake ends as one clean pass leaves it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from airflow_ingest.runtime import ServerStatus
from tests.chaos.matrix import LOADS, RECOVERIES, Arena, Case, cases

pytestmark = [pytest.mark.spark, pytest.mark.airflow]

ALL = os.environ.get("CHAOS") == "all"


@pytest.mark.parametrize("load", LOADS if ALL else ["merge"])
def test_the_lake_ends_as_one_clean_pass_leaves_it(load: str, spark_server: ServerStatus, tmp_path: Path) -> None:
    arena = Arena(tmp_path, load)
    wrong: list[str] = []
    ends: dict[Case, str] = {}
    for case in chosen(arena):
        found, expected = arena.run(case)
        differing = [name for name in expected if found[name] != expected[name]]
        wrong += [f"{case}: {name} is {found[name]}, not {expected[name]}" for name in differing]
        ends[case] = ", ".join(differing) or "equal"
        if ALL:
            report(load, ends)
    assert not wrong, "\n".join(wrong)


def chosen(arena: Arena) -> list[Case]:
    """All cases, or one that hurts: the merge is in, and nobody knows."""
    return [
        case
        for case in cases(arena)
        if ALL
        or (case.label, case.victim, case.moment, case.recovery) == ("merge silver/orders", "task", "after", "retry")
    ]


def report(load: str, ends: dict[Case, str]) -> None:
    """Write `chaos-<load>.txt`: step and fault by recovery, each `equal`, or which tables are not."""
    table = Table("step", "fault", *RECOVERIES, title=f"{load}: {len(ends)} cases")
    rows = dict.fromkeys((case.write, case.label, case.victim, case.moment) for case in ends)
    found = {(case.write, case.label, case.victim, case.moment, case.recovery): end for case, end in ends.items()}
    for row in rows:
        cells = [found.get((*row, recovery), "") for recovery in RECOVERIES]
        table.add_row(f"{row[0]} {row[1]}", f"{row[2]} killed {row[3]}", *cells)
    text = Console(width=140, record=True, file=Path(os.devnull).open("w"))  # noqa: SIM115
    text.print(table)
    Path(f"chaos-{load}.txt").write_text(text.export_text())
