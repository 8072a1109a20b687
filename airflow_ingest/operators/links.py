"""Links of tasks in Airflow's UI."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class QualityReportLink(BaseOperatorLink):
    """From a gate to the history of its rules, a page that `airflow_ingest.ui` serves."""

    name = "Quality report"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The page's path under the address of Airflow's UI."""
        root = urlsplit(conf.get("api", "base_url", fallback="/")).path.rstrip("/")
        return f"{root}/ingest/quality/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.task_id, safe='')}"
