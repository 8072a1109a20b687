"""A pytest plugin that keeps tests out of your Airflow: `pytest_plugins = ["airflow_ingest.testing.airflow_home"]`.

Every test process gets an AIRFLOW_HOME of its own with a SQLite database and an empty DAG folder, set before Airflow is
imported; the run's end removes it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG, BaseOperator, Context

RunDag = Callable[["DAG", "datetime | None"], "DagRun"]
MakeContext = Callable[..., "Context"]
DAY = datetime(2013, 1, 5, tzinfo=timezone.utc)

_SETTINGS = """
[core]
dags_folder = {home}/dags
load_examples = False
[database]
sql_alchemy_conn = sqlite:///{home}/airflow.db
load_default_connections = False
[logging]
base_log_folder = {home}/logs
"""
_HOME = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Point Airflow at a new home, unless it is imported already and has read its settings."""
    if "airflow" in sys.modules:
        raise pytest.UsageError(
            "Airflow was imported before its test home was set. Import it in tests, not in plugins."
        )
    home = config.stash[_HOME] = Path(tempfile.mkdtemp(prefix="airflow-ingest-home-"))
    (home / "dags").mkdir()
    (home / "airflow.cfg").write_text(_SETTINGS.format(home=home))
    os.environ["AIRFLOW_HOME"] = str(home)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the home."""
    if home := config.stash.get(_HOME, None):
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """A migrated metadata database."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture(scope="session")
def run_dag(airflow_db: None) -> RunDag:
    """Run a DAG in this process, all tasks for real, for a logical date (None: for none) and return the DagRun."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    def run(dag: DAG, logical_date: datetime | None) -> DagRun:
        DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
        bag = DagBag(Path(os.environ["AIRFLOW_HOME"], "dags"), collect_dags=False)
        dag.fileloc, dag.relative_fileloc = __file__, f"{dag.dag_id}.py"
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        run: DagRun = dag.test(logical_date=logical_date)
        return run

    return run


@pytest.fixture
def make_context() -> MakeContext:
    """Build the context of an operator, as the task runner does, for a run of `run_type` over `interval`."""

    def build(
        operator: BaseOperator,
        run_type: str = "scheduled",
        interval: tuple[datetime, datetime] | None = (DAY, DAY + timedelta(days=1)),
        logical_date: datetime | None = None,
    ) -> Context:
        from airflow.sdk.api.datamodels._generated import DagRun, TIRunContext
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        start, end = interval or (None, None)
        fields: dict[str, Any] = {
            "dag_id": operator.dag_id,
            "run_id": f"{run_type}__1",
            "logical_date": logical_date or start,
            "data_interval_start": start,
            "data_interval_end": end,
            "run_after": end or DAY,
            "start_date": DAY,
            "end_date": None,
            "run_type": run_type,
            "state": "running",
            "consumed_asset_events": [],
            "partition_key": None,
        }
        instance: dict[str, Any] = {
            "id": UUID(int=1),
            "task_id": operator.task_id,
            "dag_id": operator.dag_id,
            "run_id": fields["run_id"],
            "try_number": 1,
            "map_index": -1,
            "task": operator,
            "_ti_context_from_server": TIRunContext(dag_run=DagRun(**fields), max_tries=0),
        }
        context: Context = RuntimeTaskInstance.model_construct(**instance).get_template_context()
        return context

    return build
