"""What planning costs after ten thousand commits against after a hundred: it should follow the batch, not the table.

The commits are real ones, made with delta-rs because that takes milliseconds each, and carry what the project's own
commits carry. Planning is what a live run asks the logs before it loads: what is pending, and whether its batch is new.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measuring import Comparison, side_by_side

FEW, MANY = 100, 10_000
_FIRST = datetime(1990, 1, 1, tzinfo=timezone.utc)


def compare(rounds: int = 7) -> Iterator[Comparison]:
    """Planning by the files of the log, and by Spark where the files are not shared."""
    from airflow_ingest.lakehouse.log import SHARED_FILES
    from airflow_ingest.runtime import Embedded, session, start_server, stop_server

    with TemporaryDirectory() as root:
        os.environ["AIRFLOW_INGEST_HOME"] = f"{root}/runtime"
        for commits in (FEW, MANY):
            _write(f"{root}/lake{commits}", commits)
        start_server(Embedded())
        try:
            for shared, how in (("true", "the log's files"), ("false", "Spark")):
                with session(Embedded(), {SHARED_FILES: shared}) as spark:
                    for commits in (FEW, MANY):
                        _planned(spark, root, commits)
                    yield side_by_side(
                        f"planning at commit {MANY} by {how} / at commit {FEW}",
                        partial(_planned, spark, root, MANY),
                        partial(_planned, spark, root, FEW),
                        rounds=rounds,
                        limit=1.5,
                    )
        finally:
            stop_server()


def _planned(spark: Any, root: str, commits: int, _round: int = 0) -> float:
    """Seconds for the plan of the next interval; the median of a few."""
    from airflow_ingest.lakehouse import Lake, RunInfo
    from airflow_ingest.lakehouse.batches import pending_batches
    from airflow_ingest.lakehouse.commits import Place
    from airflow_ingest.lakehouse.log import history

    lake, batch = Lake(f"{root}/lake{commits}", "bench"), _batch(commits)
    run = RunInfo(pipeline="bench", run_id="r", interval=batch.interval)
    taken = []
    for _ in range(5):
        started = time.perf_counter()
        pending = pending_batches(spark, lake, "t", run, batch)
        place = Place.of(batch, history(spark, lake.bronze("t"), 20))
        taken.append(time.perf_counter() - started)
        assert [found.id for found in pending] == [f"b{commits - 1}", batch.id]
        assert place.first
    return statistics.median(taken)


def _write(root: str, commits: int) -> None:
    """Bronze and silver with so many batches, of which silver has not taken the last."""
    from airflow_ingest.lakehouse.progress import PROGRESS, Progress

    for number in range(commits):
        batch = _batch(number)
        assert batch.interval
        known = {"pipeline": "bench", "table": "t", "batch": batch.to_dict(), "highest": batch.interval.end.isoformat()}
        near_the_end = number > commits - 30
        _commit(f"{root}/bronze/t", known, number, checkpoint=near_the_end)
        if number < commits - 1:
            progress = Progress(bronze=number, base=number - 1)
            _commit(f"{root}/silver/t", {**known, PROGRESS: progress.to_dict()}, number, checkpoint=near_the_end)


def _commit(path: str, metadata: dict[str, Any], number: int, *, checkpoint: bool) -> None:
    """An append; a `checkpoint` every ten commits, as Delta makes them, where they count: at the end."""
    import pyarrow
    from deltalake import CommitProperties, DeltaTable, write_deltalake

    rows = pyarrow.table({"id": [number]})
    properties = CommitProperties(custom_metadata={"userMetadata": json.dumps(metadata)})
    write_deltalake(path, rows, mode="append", commit_properties=properties)
    if checkpoint and number % 10 == 9:
        DeltaTable(path).create_checkpoint()


def _batch(number: int) -> Any:
    from airflow_ingest.lakehouse import Batch, Interval

    start = _FIRST + timedelta(days=number)
    interval = Interval(start=start, end=start + timedelta(days=1))
    return Batch(table="t", id=f"b{number}", generation=1, run_id="r", interval=interval, processing_date=start.date())
