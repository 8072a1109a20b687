"""The same day with dlt: one CSV merged on its keys into a Delta table. Run as `python with_dlt.py FILE FOLDER`."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from dlt.destinations import filesystem

KEYS = ["year", "month", "day", "carrier", "flight", "origin", "sched_dep_time"]


@dlt.resource(name="flights", primary_key=KEYS, write_disposition={"disposition": "merge", "strategy": "upsert"})  # type: ignore[untyped-decorator]
def flights(file: str) -> Iterator[list[dict[str, Any]]]:
    """The rows of `file`, NA as NULL."""
    with Path(file).open() as source:
        yield [{key: None if value == "NA" else value for key, value in row.items()} for row in csv.DictReader(source)]


if __name__ == "__main__":
    file, folder = sys.argv[1:]
    pipeline = dlt.pipeline(
        "flights", pipelines_dir=f"{folder}/state", destination=filesystem(f"file://{folder}/lake"), dataset_name="lake"
    )
    pipeline.run(flights(file), table_format="delta").raise_on_failed_jobs()
