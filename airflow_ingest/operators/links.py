"""Links of tasks in Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from airflow_ingest._addresses import path, ui_root

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class QualityReportLink(BaseOperatorLink):
    """From a gate to the history of its rules, a page that `airflow_ingest.ui` serves."""

    name = "Quality report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The page's path under the address of Airflow's UI."""
        return path(ui_root(), "ingest", "quality", ti_key.dag_id, ti_key.task_id)
