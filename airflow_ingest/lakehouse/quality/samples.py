"""A few of the rows that break a rule, taken in the pass that counts them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from airflow_ingest.lakehouse.sql import quote

_COLUMNS, _LONGEST = 5, 200
ENDS = ("min", "max")


def sampled(columns: Sequence[str], broken: str) -> dict[str, str]:
    """Aggregates that give two of the rows for which `broken` is true, as JSON of `columns`: the first and the last.

    They are the same each time, and cost next to nothing where no row is. The values are those of the table, so what is
    masked there is masked here.
    """
    named = ", ".join(map(quote, columns[:_COLUMNS]))
    shown = f"to_json(struct({named}), map('ignoreNullFields', 'false'))"
    return {end: f"{end}(CASE WHEN {broken} THEN {shown} END)" for end in ENDS}


def shown(found: Sequence[str | None]) -> tuple[str, ...]:
    """What `sampled` gave, each row once, as it is shown: with one column, its value.

    A text with control characters stays as JSON writes it, so that it does nothing to a terminal or a log.
    """
    told = dict.fromkeys(_value(text) for text in found if text is not None)
    return tuple(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in told)


def _value(text: str) -> str:
    row = json.loads(text)
    (value,) = row.values() if len(row) == 1 else (row,)
    if isinstance(value, str):
        told = value
    elif value is row:
        told = text
    else:
        told = "NULL" if value is None else json.dumps(value, ensure_ascii=False)
    return told if told.isprintable() else json.dumps(value)
