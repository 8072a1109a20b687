"""The tables of the lake that gold may read."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_ingest.config.checks.names import Names
from airflow_ingest.config.values import nearest, quote

Lake = Mapping[str, Names | None]
"""Tables, such as `silver.flights`, with their columns (None: not known); `bronze.<t>` marks one that stops there."""


def table_problem(name: str, lake: Lake | None) -> tuple[str, str] | None:
    """What is wrong with reading the table `name` in gold, and what to write; None if nothing is.

    :param lake: the tables of the pipeline; None if not known.
    """
    layer, _, table = name.partition(".")
    if lake is None:
        sound = layer in ("silver", "gold") and table.isidentifier()
        return None if sound else (f"{quote(name)} is no table of the lake", "Write silver.<table> or gold.<table>.")
    if name in lake and layer != "bronze":
        return None
    if name.startswith("bronze.") or f"bronze.{table or name}" in lake:
        hint = f"Gold reads silver and gold: give {table or name} a silver."
        return f"{quote(name)} cannot be read: {table or name} stops at bronze", hint
    readable = [known for known in lake if not known.startswith("bronze.")]
    same = [known for known in readable if known.partition(".")[2] == name]
    hint = f'Did you mean "{same[0]}"?' if same else nearest(name, readable)
    return f"there is no table {quote(name)}", hint or f"Tables: {', '.join(readable)}."
