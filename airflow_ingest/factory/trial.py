"""What Airflow does with a DAG after the loader has returned, done first for one DAG alone.

There an error would be the loader's, and Airflow then hides every pipeline that comes from it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_ingest.config import Pipeline


def try_out(dag: DAG, pipeline: Pipeline | None, rebuild: Callable[[], DAG]) -> None:
    """Raise what Airflow would raise when it takes `dag` in.

    Only what can differ between pipelines is tried: values that the file hands to Airflow unread, and the policies of
    this Airflow (on a second copy from `rebuild`, since they may change what they see).
    """
    from airflow.exceptions import AirflowClusterPolicySkipDag
    from airflow.settings import get_policy_plugin_manager

    dag.validate()  # type: ignore[no-untyped-call]
    if pipeline and (pipeline.dag or pipeline.task):
        _try_extras(dag, pipeline)
    if len(get_policy_plugin_manager().get_plugins()) > 1:
        from airflow.dag_processing.dagbag import DagBag

        try:
            DagBag(collect_dags=False).bag_dag(rebuild())
        except AirflowClusterPolicySkipDag:
            return


def _try_extras(dag: DAG, pipeline: Pipeline) -> None:
    from airflow.executors.executor_loader import ExecutorLoader
    from airflow.serialization.serialized_objects import DagSerialization

    if executor := pipeline.task.get("executor"):
        ExecutorLoader.lookup_executor_name_by_str(executor, validate_teams=False)
    DagSerialization.to_dict(dag)
