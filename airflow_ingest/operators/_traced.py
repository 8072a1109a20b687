"""What OpenLineage's listener asks an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_ingest.operators._lineage import Lineage


class Traced:
    """An operator that tells what it reads and writes, where `apache-airflow-providers-openlineage` is there to ask."""

    def lineage(self) -> Lineage | None:
        """What the task reads and writes, as far as it has got; None for one that does neither with a table."""
        return None

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What the listener is told of a task that went well; None without the provider."""
        from airflow_ingest.operators._openlineage import facets

        try:
            return facets(self.lineage())
        except ImportError:
            return None

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What it is told of one that failed: the same, as far as the task has got."""
        return self.get_openlineage_facets_on_complete(task_instance)
