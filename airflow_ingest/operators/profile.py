"""What a table's columns hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.operators._lineage import Lineage

LAYERS = ("silver", "gold")


class ProfileOperator(LakehouseOperator):
    """Measure the columns of a silver or gold table as it is now, and keep the result in `ops/profiles`.

    It publishes nothing, so let no load wait for it. Returns the table, its version, rows and number of columns, and
    the version and rows of the profile `before`.

    :param layer: `silver` or `gold`
    :param hidden: the columns whose values must not be shown: their minimum, maximum, mean and median are left out
    :param all_columns: measure the columns that loads add (`_batch_id` and the like) too
    """

    template_fields: Sequence[str] = ("lake",)
    ui_color = "#e6e6fa"

    def __init__(
        self,
        *,
        layer: str = "silver",
        hidden: Sequence[str] = (),
        all_columns: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if layer not in LAYERS:
            raise ValueError(
                f"{self.task_id}: layer is {layer!r}, and profiles are of tables in silver and gold. Write one of them."
            )
        self.layer = layer
        self.hidden = list(hidden)
        self.all_columns = all_columns

    def execute(self, context: Context) -> dict[str, Any]:
        """Measure, log and return."""
        from airflow_ingest.lakehouse import profile_before, profile_table

        run, table = run_info(context, self.pipeline), f"{self.layer}.{self.table}"
        with self.spark(context, run) as spark:
            lake = self.lake_of(run)
            profile = profile_table(spark, lake, table, run, hidden=self.hidden, all_columns=self.all_columns)
            before = profile_before(spark, lake, profile)
        self.log.info(
            "profile %s, version %d: %d rows, %d columns%s; %.1f s",
            table,
            profile.version,
            profile.rows,
            len(profile.columns),
            f"; since version {before.version}: {before.rows} rows" if before else "",
            profile.seconds,
        )
        return {
            "table": table,
            "version": profile.version,
            "rows": profile.rows,
            "columns": len(profile.columns),
            "before": {"version": before.version, "rows": before.rows} if before else None,
            "seconds": profile.seconds,
        }

    def lineage(self) -> Lineage:
        """The table that is measured."""
        from airflow_ingest.operators._lineage import Dataset, Lineage, table_name

        lake = self.own_lake
        return Lineage(lake, [Dataset(table_name(lake, f"{self.layer}.{self.table}"))])
