"""What became of the rows of a load, from what Delta counted and what the gate did."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import Silver
from airflow_ingest.lakehouse.errors import ReconciliationError
from airflow_ingest.lakehouse.log import rows_put
from airflow_ingest.lakehouse.model import Batch, RowCounts, Value
from airflow_ingest.lakehouse.silver.rows import DEAD, same_key, wins

ACCOUNT = "account"
"""In a commit of silver: what of the load's account Delta does not count."""


class Retracted(Value):
    """The keys that a batch has lost, and what the MERGE did for them on behalf of other batches.

    Of the `lost` keys the batch has a row for `restated`, and silver had its row for `mine`, of which `own` stay its
    own. Rows of others were put in (`inserts`, `updates`, `deletes`), and `gone` keys have no row left.
    """

    lost: int = 0
    restated: int = 0
    mine: int = 0
    own: int = 0
    inserts: int = 0
    updates: int = 0
    deletes: int = 0
    gone: int = 0


class Account(Value):
    """What has to stand beside Delta's own metrics: the gate's rows, if it was asked, and what was taken back.

    Of versions Delta counts other things than changes: with `load: scd2`, `changes` are the counts.
    """

    gate: RowCounts | None = None
    retracted: Retracted = Retracted()
    changes: RowCounts | None = None

    @property
    def counted(self) -> bool:
        """Whether Delta's metrics are of the batch's rows alone: nothing was taken back or worked out beside them."""
        return self.changes is None and self.retracted == Retracted()

    def counts(self, metrics: Mapping[str, int], silver: Silver) -> RowCounts:
        """The account of a load that Delta counted, or would count (`Merge.metrics`), as `metrics`."""
        if self.changes is not None:
            counts = self.changes
        elif not silver.by_key:
            counts = RowCounts(read=rows_put(metrics), inserted=rows_put(metrics))
        else:
            lost = self.retracted
            counts = RowCounts(
                read=metrics.get("numSourceRows", 0) - lost.lost + lost.restated,
                inserted=metrics.get("numTargetRowsInserted", 0) - lost.inserts,
                updated=metrics.get("numTargetRowsUpdated", 0) - lost.updates,
                deleted=metrics.get("numTargetRowsDeleted", 0) - lost.deletes - lost.gone,
                retracted=lost.mine - lost.own,
            )
        if self.gate is None:
            return counts
        return self.gate.model_copy(
            update=counts.model_dump(
                include={"inserted", "updated", "deleted", "unchanged", "superseded", "retracted"}
            ),
        )


def left_alone(rows: DataFrame, target: DataFrame, silver: Silver, settled_elsewhere: int) -> Mapping[str, int]:
    """Splits the `rows` that the MERGE into `target` left alone: superseded by a newer row or deletion, or there.

    Deletions that have come since may have overtaken more of them. An insert finds its key there, newer or not.
    """
    if silver.load == "insert":
        return {"unchanged": settled_elsewhere}
    newer = F.expr(f"coalesce({wins(silver, 't', 's')}, false)")
    joined = rows.alias("s").join(target.alias("t"), F.expr(same_key(silver.keys)), "left")
    superseded = min(int(joined.agg(F.count_if(newer | F.expr(DEAD))).collect()[0][0]), settled_elsewhere)
    return {"superseded": superseded, "unchanged": settled_elsewhere - superseded}


def reconcile(path: str, batch: Batch, counts: RowCounts, *, complete: bool) -> None:
    """Raises ReconciliationError if rows are missing from the account; `complete` says that the gate's are in it."""
    if counts.unaccounted != 0 or min(counts.model_dump().values()) < 0:
        told = "the gate's" if complete else "the merge's"
        raise ReconciliationError(
            f"{path}, batch {batch.id}: by {told} account {counts.read} rows were read, but "
            f"{counts.read - counts.unaccounted} are accounted for ({counts.model_dump()}). "
            "Did bronze change between the gate and the merge? Clear the run to load the batch again."
        )
