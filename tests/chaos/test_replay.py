"""A replay that is killed at any of its writes, and recovered from in any way, ends as one that was not."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

from airflow_ingest.runtime import ServerStatus
from tests.chaos.child import NO_FAULT, Fault, run_replay
from tests.chaos.matrix import MOMENTS, VICTIMS, Arena, State

pytestmark = [pytest.mark.spark, pytest.mark.airflow]

ALL = os.environ.get("CHAOS") == "all"
FIX = {"id": "if(id = 'x', '8', id)"}
"""The second day's bad row stays bad."""
SAME, ANOTHER, DAY_FIRST = "the same replay again", "another replay", "its day first, then the replay again"


class Replays(Arena):
    """A template lake with two days and their two letters; each replay tries one at a time."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "merge")
        self._copy("clean", "replayed")
        self._use("replayed")
        writes = self.replay("replayed", "first")
        assert isinstance(writes, list), writes
        self.writes = writes
        self.expected = self._state("replayed")

    def replay(self, lake: str, run_id: str, fault: Fault = NO_FAULT) -> list[str] | str:
        return run_replay(self.folder / lake, run_id, FIX, fault=fault)

    def recovered(self, number: int, victim: str, moment: str, recovery: str) -> State:
        """What the lake holds after a replay that met the fault, and its recovery."""
        lake = f"{number}-{victim}-{moment}-{recovery.replace(' ', '-')}"
        self._copy("clean", lake)
        self._use(lake)
        self.replay(lake, "first", Fault(victim, moment, number))
        if recovery == DAY_FIRST:
            self._day(lake, 1, tries=1)
        told = self.replay(lake, "second" if recovery == ANOTHER else "first")
        assert isinstance(told, list), told
        return self._state(lake)


def attempts_apart(state: State, recovery: str) -> State:
    """A new replay tries again what the one that died had tried in vain."""
    if recovery == SAME:
        return state
    return {**state, "dlq": [letter[:-1] for letter in state["dlq"]]}


@pytest.mark.slow
def test_the_lake_ends_as_a_replay_that_was_not_killed_leaves_it(spark_server: ServerStatus, tmp_path: Path) -> None:
    arena = Replays(tmp_path)
    assert [row[:2] for row in arena.expected["silver"] if row[0] == 8] == [(8, 1)]
    assert {write for write in arena.writes if "orders" in write} == {"merge silver/orders", "merge dlq/orders"}
    all_of_them = product(enumerate(arena.writes), VICTIMS, MOMENTS, (SAME, ANOTHER, DAY_FIRST))
    cells = [cell for cell in all_of_them if cell[2] != "during" or cell[3] == SAME]
    hurts = next(number for number, write in enumerate(arena.writes) if write == "merge silver/orders")
    ends: list[str] = []
    wrong: list[str] = []
    for (number, write), victim, moment, recovery in cells:
        if not ALL and (number, victim, moment, recovery) != (hurts, "task", "after", SAME):
            continue
        found = attempts_apart(arena.recovered(number, victim, moment, recovery), recovery)
        expected = attempts_apart(arena.expected, recovery)
        differing = [name for name in expected if found[name] != expected[name]]
        cell = f"{number} {write}, {victim} killed {moment} it, {recovery}"
        ends.append(f"{cell}: {', '.join(differing) or 'equal'}")
        wrong += [f"{cell}: {name} is {found[name]}, not {expected[name]}" for name in differing]
        if ALL:
            Path("chaos-replay.txt").write_text("\n".join([*ends, ""]))
    assert ends
    assert not wrong, "\n".join(wrong)
