"""Circles among tables that read one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def cycles(inputs: Mapping[str, Sequence[str]]) -> list[tuple[str, ...]]:
    """Find the circles among tables, each once, beginning at its first table in the file."""
    found: list[tuple[str, ...]] = []
    done: set[str] = set()

    def follow(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            found.append(trail[trail.index(name) :])
        elif name not in done:
            for before in inputs.get(name, ()):
                follow(before, (*trail, name))
            done.add(name)

    for name in inputs:
        follow(name, ())
    return found
