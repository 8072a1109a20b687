"""Files of a good size, and none of the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_ingest._context import run_info
from airflow_ingest._logs import name_in_logs
from airflow_ingest.config import IngestError
from airflow_ingest.operators._base import LakehouseOperator, plain_errors

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.lakehouse import Maintained


class MaintenanceOperator(LakehouseOperator):
    """Look after tables of a lake, one after the other: OPTIMIZE, z-order or clustering, and VACUUM. No row changes.

    Small tables, and those that nothing has changed since, are left alone. A load that commits meanwhile goes first:
    its table is left for the next time. What goes wrong with one table does not keep the others from their turn; the
    task fails at its end. Returns what was done, table by table.

    :param targets: the tables, each as its layer and name (`silver.orders`), or as a mapping with this under `table`
        and `zorder_by` or `cluster_by`, lists of columns
    :param retain: how long files that only older versions need are kept, never less than seven days; left out, as long
        as each table's property `delta.deletedFileRetentionDuration` says
    """

    template_fields: Sequence[str] = ("lake",)
    of_one_table = False
    ui_color = "#eceff1"

    def __init__(
        self,
        *,
        targets: Iterable[str | Mapping[str, Any]],
        retain: timedelta | None = None,
        **kwargs: Any,
    ) -> None:
        from airflow_ingest.lakehouse.maintenance.retention import check_retention

        super().__init__(**{"table": "maintenance", **kwargs})
        self.targets = [{"table": target} if isinstance(target, str) else dict(target) for target in targets]
        self.retain = retain
        if wrong := [str(target.get("table")) for target in self.targets if not _is_table(target.get("table"))]:
            raise ValueError(f"{self.task_id}: {', '.join(wrong)}: write a table as its layer and name: silver.orders.")
        check_retention(retain)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Maintain every table; raises IngestError at the end if one of them went wrong."""
        from airflow_ingest.lakehouse import Target, maintain_table

        run = run_info(context, self.pipeline)
        done: list[Maintained] = []
        problems: list[str] = []
        with self.spark(context, run) as spark:
            for target in map(Target.from_dict, self.targets):
                name_in_logs(table=target.table)
                try:
                    result = maintain_table(spark, self.lake_of(run), target, run.run_id, retain=self.retain)
                except Exception as error:
                    self.log.exception("%s could not be maintained", target.table)
                    problems.append(
                        f"{target.table}: {error}" if isinstance(error, IngestError) else _short(target, error)
                    )
                    continue
                if result is not None:
                    self.log.info(describe_maintenance(result))
                    done.append(result)
        with plain_errors():
            if problems:
                raise IngestError(f"{len(problems)} of {len(self.targets)} tables went wrong:\n" + "\n".join(problems))
        return [result.to_dict() for result in done]


def describe_maintenance(done: Maintained) -> str:
    """What was done with one table, in a line."""
    removed = "" if not done.removed_files else f"; {done.removed_files:,} files of older versions removed"
    files = f"{done.files_before:,} → {done.files_after:,} files, {done.bytes_before:,} → {done.bytes_after:,} bytes"
    removed += f"; {done.forgotten:,} rows forgotten" if done.forgotten else ""
    reason = f" ({done.reason})" if done.reason else ""
    return f"maintenance {done.table}: {done.status}{reason}; {done.layout}: {files}{removed}; {done.seconds:.1f} s"


def _is_table(name: object) -> bool:
    return isinstance(name, str) and name.partition(".")[0] in _LAYERS and bool(name.partition(".")[2])


_LAYERS = ("bronze", "silver", "gold", "dlq", "ops")


def _short(target: Any, error: Exception) -> str:
    from airflow_ingest.lakehouse.spark_errors import brief

    return f"{target.table}: {type(error).__name__}: {brief(error)}"
