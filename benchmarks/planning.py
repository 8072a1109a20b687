"""What planning costs after ten thousand commits against after a hundred: it should follow the batch, not the table.

The commits carry what the project's own carry. Planning is what a live run asks the logs before it loads: what is
pending, and whether its batch is new.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
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

    bronze, silver = _Log(f"{root}/bronze/t"), _Log(f"{root}/silver/t")
    for number in range(commits):
        batch = _batch(number)
        assert batch.interval
        known = {"pipeline": "bench", "table": "t", "batch": batch.to_dict(), "highest": batch.interval.end.isoformat()}
        checkpoint = number % 10 == 9 and number > commits - 30
        bronze.append(number, known, checkpoint=checkpoint)
        if number < commits - 1:
            progress = Progress(bronze=number + 1, base=number)
            silver.append(number, {**known, PROGRESS: progress.to_dict()}, checkpoint=checkpoint)


class _Log:
    """A table that grows by a row and a commit at a time.

    The first commits are delta-rs's; the others are copies of its last one under their own numbers, with a data file
    and metadata of their own, since a library that looks at the table again for each of ten thousand takes hours.
    Delta makes a checkpoint every ten commits; here the last few do, which are all that is read.
    """

    def __init__(self, path: str) -> None:
        import pyarrow
        from deltalake import write_deltalake

        for number in range(2):
            write_deltalake(path, pyarrow.table({"id": [number]}), mode="append")
        self._folder = Path(path)
        self._template = [json.loads(line) for line in self._commit(1).read_text().splitlines()]

    def append(self, number: int, metadata: dict[str, Any], *, checkpoint: bool) -> None:
        from deltalake import DeltaTable

        actions = deepcopy(self._template)
        for action in actions:
            if add := action.get("add"):
                data = f"{number}.parquet"
                os.link(self._folder / add["path"], self._folder / data)
                add["path"] = data
            if info := action.get("commitInfo"):
                info["userMetadata"] = json.dumps(metadata)
        actions.sort(key=lambda action: "commitInfo" not in action)
        self._commit(number + 1).write_text(
            "".join(f"{json.dumps(action, separators=(',', ':'))}\n" for action in actions)
        )
        if checkpoint:
            DeltaTable(self._folder).create_checkpoint()

    def _commit(self, version: int) -> Path:
        return self._folder / "_delta_log" / f"{version:020d}.json"


def _batch(number: int) -> Any:
    from airflow_ingest.lakehouse import Batch, Interval

    start = _FIRST + timedelta(days=number)
    interval = Interval(start=start, end=start + timedelta(days=1))
    return Batch(table="t", id=f"b{number}", generation=1, run_id="r", interval=interval, processing_date=start.date())
