"""Files that were not loaded before, by the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import SparkSession

from airflow_ingest.lakehouse.errors import NothingToLoad
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.ledger import Ledger
from airflow_ingest.lakehouse.model import Batch, RunInfo, short_hash
from airflow_ingest.lakehouse.sources.files import Files
from airflow_ingest.lakehouse.sources.listing import list_files
from airflow_ingest.lakehouse.watermarks import increments, next_transaction


@dataclass(frozen=True)
class NewFiles(Files):
    """The files at `pattern` that the table has not loaded as they are now."""

    lake: Lake

    def plan(self, spark: SparkSession, run: RunInfo, draft: Batch, bronze: str) -> Batch:
        """`draft` with the new files, or with all if `run` begins anew.

        A run that loaded before takes its own files again, as they are now.

        A run in its lane has no business here, files have no intervals, unless nothing was loaded yet. Raises
        SourceNotFound, or NothingToLoad where nothing is new.
        """
        log = increments(spark, bronze)
        transaction = next_transaction(log)
        listing = list_files(spark, self.pattern)
        ledger = Ledger(spark, self.lake, draft.table)
        id_ = short_hash(run.pipeline, draft.table, run.run_id, *filter(None, [run.part]))
        before = ledger.entry(id_)
        if before is None and run.in_its_lane and transaction > 1:
            raise NothingToLoad(
                f"{draft.table} loads the files that are new (`extract: {{mode: incremental}}`), whatever the "
                f"interval: a {run.kind} run for one interval leaves it as it is. Its next scheduled run loads them."
            )
        if before is not None:
            files = tuple(file for file in listing if file.path in before.paths)
        else:
            files = listing if run.anew else ledger.unknown(listing)
            if not files:
                raise NothingToLoad(f"none of the {len(listing)} files at {self.pattern} is new")
        generation = before.generation if before else draft.generation
        return draft.model_copy(
            update={
                "id": id_,
                "interval": None,
                "processing_date": _moment(generation).date(),
                "planned": _moment(generation),
                "files": files,
                "transaction": transaction,
                "repeats": before is not None,
            }
        )

    def loaded(self, spark: SparkSession, batch: Batch, version: int) -> None:
        """Brings the ledger up to date."""
        Ledger(spark, self.lake, batch.table).catch_up()


def _moment(generation: int) -> datetime:
    return datetime.fromtimestamp(generation / 1000, tz=timezone.utc)
