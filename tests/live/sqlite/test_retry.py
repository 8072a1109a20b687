"""On a running Airflow, a task that dies after its commit: the retry finds it, and clearing the task loads anew."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from airflow_ingest.testing import TaskRun
from tests.live.conftest import PATIENCE, Site

pytestmark = [pytest.mark.live, pytest.mark.slow]

DAG = '''
import os
import signal
from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_ingest.operators import BronzeIngestOperator


class Doomed(BronzeIngestOperator):
    """Is killed at its first try, once its batch is in bronze."""

    def publish(self, context, results):
        if context["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().publish(context, results)


with DAG(
    "doomed",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
):
    Doomed(
        task_id="ingest",
        lake=os.environ["LAKE_ROOT"] + "/doomed",
        table="orders",
        spec={"source": {"files": os.environ["LANDING_ROOT"] + "/doomed/*.csv", "format": "csv"}},
        retries=1,
        retry_delay=timedelta(seconds=1),
    )
'''


def test_a_task_killed_after_its_commit_is_not_loaded_twice(site: Site) -> None:
    site = site.within("doomed")
    api, day = site.airflow.api, datetime(2026, 1, 1, tzinfo=timezone.utc)
    site.land("1.csv", "id\n1\n")
    site.drop("doomed.py", DAG)
    site.seen("doomed")
    run_id = api.trigger("doomed", logical_date=day).run_id

    def ended(tries: int) -> list[TaskRun]:
        def over() -> bool:
            return all(task.finished and task.try_number == tries for task in api.tasks("doomed", run_id))

        site.airflow.wait_for(over, timeout=PATIENCE, what=f"try {tries}", poll=1)
        return api.tasks("doomed", run_id)

    (task,) = ended(2)
    assert task.state == "success", site.failures("doomed")
    retried = api.xcom("doomed", run_id, "ingest")
    assert retried["reason"] == "already applied by an earlier attempt"
    assert "already applied" in api.log("doomed", run_id, "ingest", 2)
    assert retried["rows"]["read"] == 1

    site.land("2.csv", "id\n2\n")
    api.clear("doomed", run_id)
    (task,) = ended(3)
    cleared = api.xcom("doomed", run_id, "ingest")
    assert (task.state, cleared["reason"], cleared["rows"]["read"]) == ("success", "", 2)
    assert cleared["batch"]["id"] == retried["batch"]["id"]
    assert cleared["version"] == retried["version"] + 1
