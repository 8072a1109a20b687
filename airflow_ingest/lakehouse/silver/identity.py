"""What tells the rows of a silver table apart, and puts them in order, for as long as the table lives.

Rows that went in by other keys, or that carry the values of other columns in `_sequence`, would be matched and compared
with new ones as if they were the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.log import Commit, in_effect, told

IDENTITY = "identity"
"""In a commit of silver: see `identity`."""
PARTITIONS = "partition_by"
SHAPE = "shape"
"""In a commit of silver: a hash of what the configuration said of its columns."""


def identity(silver: Silver) -> Mapping[str, Any]:
    """What the configuration says of it, to be written into the commit of a load."""
    order = [name.lower() for name in silver.sequence_by]
    return {
        "keys": sorted(map(str.lower, silver.keys)),
        "sequence_by": order,
        "versions": silver.load == "scd2",
        PARTITIONS: [name.lower() for name in silver.partition_by],
    }


def check_identity(path: str, silver: Silver, commits: Sequence[Commit], *beside: str) -> None:
    """Raises SchemaMismatch if the table at `path`, whose newest commits are `commits`, was loaded by another one.

    A load that replaces rows without a look at them need only find the same partitions, and one that replaces them all
    nothing. `beside` are the tables that belong to it.
    """
    before, now = told(in_effect(commits), IDENTITY) or {}, identity(silver)
    looked_at = now if silver.by_key else () if silver.load == "overwrite" else (PARTITIONS,)
    differ = [name for name in looked_at if name in before and before[name] != now[name]]
    if not differ:
        return
    said = "; ".join(f"{_NAMES[name]} was {_shown(before[name])} and is {_shown(now[name])}" for name in differ)
    raise SchemaMismatch(
        f"{path}: the rows there went in by another configuration: {said}. Take that change back; or have the table "
        f"made anew, of all that bronze holds: remove {' and '.join((path, *beside))}, then clear the run. Nothing "
        "was written."
    )


_NAMES = {"keys": "keys", "sequence_by": "sequence_by", "versions": "load: scd2", PARTITIONS: "partition_by"}


def _shown(value: Any) -> str:
    return ("so" if value else "not so") if isinstance(value, bool) else f"[{', '.join(value or ())}]"
