"""On a running Airflow with a mail server: missed deadlines, failed runs and runs that are cut off are told, once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest

from airflow_ingest.runtime import ServerStatus
from tests.live.conftest import Site, running
from tests.mailbox import Mail, Mailbox, mailbox

pytestmark = [pytest.mark.live, pytest.mark.slow]

LATE = """
pipeline: late
schedule: "{minute} {hour} * * *"
start_date: {start}
lake: ${{LAKE_ROOT}}
retries: {{attempts: 3, delay: 2s}}
sla: {{within: 20s, email: [ops@example.com, "boss@example.com"]}}
tables:
  slow:
    source: {{files: "${{LANDING_ROOT}}/slow.csv", format: csv}}
    wait: {{timeout: 1h, poll: 20s}}
    sla: {{within: 10s, email: [slow@example.com]}}
    silver: {{columns: {{id: int}}, keys: [id]}}
  fast:
    source: {{files: "${{LANDING_ROOT}}/fast.csv", format: csv}}
    sla: {{within: 90s, email: [fast@example.com]}}
"""
BROKEN = """
pipeline: broken
schedule: null
lake: ${LAKE_ROOT}
retries: {attempts: 2, delay: 1s}
alerts:
  email: [ops@example.com]
  notify: {critical: [{class: noting.Noting, args: {file: "{{ dag.dag_id }}.txt", text: "{{ alert.subject }}"}}]}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders.csv", format: csv}
    silver: {columns: {id: int}, keys: [id]}
  others:
    source: {files: "${LANDING_ROOT}/fast.csv", format: csv}
gold:
  counted: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite}
"""
NOTING = """
import os
from pathlib import Path

from airflow.sdk import BaseNotifier


class Noting(BaseNotifier):
    template_fields = ("file", "text")

    def __init__(self, *, file, text):
        super().__init__()
        self.file, self.text = file, text

    def notify(self, context):
        with (Path(os.environ["LANDING_ROOT"]) / self.file).open("a") as file:
            file.write(self.text + "\\n")
"""
CUT_OFF = """
pipeline: cut_off
schedule: null
lake: ${LAKE_ROOT}
dag: {dagrun_timeout: 6s}
alerts: {email: [ops@example.com]}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/never.csv", format: csv}
    wait: {timeout: 1h, poll: 10s}
    extract: {mode: full}
"""


@dataclass(frozen=True)
class Post:
    """An Airflow, and the server that its mails go to."""

    site: Site
    box: Mailbox

    def about(self, pipeline: str) -> list[Mail]:
        return [mail for mail in self.box.mails if f"] {pipeline}: " in mail.subject]

    def wait(self, pipeline: str, mails: int, timeout: float) -> list[Mail]:
        """The mails about a pipeline, once so many have come and no more come for a while."""
        what = f"mail {mails} about {pipeline}"
        self.site.airflow.wait_for(lambda: len(self.about(pipeline)) >= mails, timeout=timeout, what=what)
        time.sleep(8)
        found = self.about(pipeline)
        assert len(found) == mails, [mail.subject for mail in found]
        return found

    def dag(self, name: str, text: str) -> None:
        self.site.drop(f"{name}.yaml", text)
        self.site.airflow.wait_for(lambda: name in self.site.airflow.api.dags(), timeout=60, what=name)
        self.site.airflow.api.unpause(name)


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory, spark_server: ServerStatus) -> Iterator[Post]:
    with mailbox() as box:
        folder, env = tmp_path_factory.mktemp("post"), {"AIRFLOW_CONN_SMTP_DEFAULT": box.connection()}
        with running(folder, env=env, schedule=True, parallelism=4) as site:
            site.land("fast.csv", "id\n1\n")
            site.drop("noting.py", NOTING)
            yield Post(site, box)


def test_a_task_that_fails_for_good_is_told_once_and_so_is_that_it_is_well_again(post: Post) -> None:
    site, api = post.site, post.site.airflow.api
    post.dag("broken", BROKEN)
    run_id = api.trigger("broken", logical_date=datetime(2026, 1, 1, tzinfo=timezone.utc)).run_id

    (mail,) = post.wait("broken", 1, timeout=180)
    assert (mail.subject, mail.to) == ("[critical] broken: orders failed", ("ops@example.com",))
    assert f"{run_id} (manual)" in mail.body
    assert "orders: failed in orders.ingest_bronze" in mail.body
    assert "Not run because of that: gold.counted." in mail.body
    assert f"<a href='{site.airflow.url}/dags/broken/runs/manual" in mail.body
    tasks = {task.task_id: task for task in api.tasks("broken", run_id)}
    assert (tasks["orders.ingest_bronze"].state, tasks["orders.ingest_bronze"].try_number) == ("failed", 2)
    assert tasks["send_alerts"].state == "success"
    assert (site.landing / "broken.txt").read_text() == "[critical] broken: orders failed\n"

    site.land("orders.csv", "id\n1\n")
    api.clear("broken", run_id)
    mails = post.wait("broken", 2, timeout=180)
    assert mails[-1].subject == "[info] broken: well again", "the run that failed was cleared"

    (site.landing / "orders.csv").unlink()
    api.trigger("broken", logical_date=datetime(2026, 1, 2, tzinfo=timezone.utc))
    mails = post.wait("broken", 3, timeout=180)
    assert mails[-1].subject == "[critical] broken: orders failed"
    site.land("orders.csv", "id\n1\n")
    api.trigger("broken", logical_date=datetime(2026, 1, 3, tzinfo=timezone.utc))
    mails = post.wait("broken", 4, timeout=180)
    assert mails[-1].subject == "[info] broken: well again", "the run before failed"


def test_a_run_that_is_cut_off_is_told_though_its_last_tasks_never_run(post: Post) -> None:
    api = post.site.airflow.api
    post.dag("cut_off", CUT_OFF)
    run_id = api.trigger("cut_off").run_id

    (mail,) = post.wait("cut_off", 1, timeout=120)
    assert mail.subject == "[critical] cut_off: the run was cut off by its dagrun_timeout"
    assert f"{run_id} (manual)" in mail.body
    assert {task.task_id: task.state for task in api.tasks("cut_off", run_id)}["send_alerts"] == "skipped"


def test_a_missed_deadline_is_told_once_in_time_and_for_the_run_of_the_schedule_alone(post: Post) -> None:
    site = post.site
    due = (datetime.now(timezone.utc) + timedelta(seconds=240)).replace(second=0, microsecond=0)
    text = LATE.format(minute=due.minute, hour=due.hour, start=(due - timedelta(days=1)).isoformat())
    post.dag("late", text)
    before = due - timedelta(days=3)
    site.backfill("late", before, before)
    site.airflow.wait_for(lambda: bool(_running(site)), timeout=60, what="the backfill's run")
    assert datetime.now(timezone.utc) < due, "too slow for this test"

    mails, api = post.wait("late", 2, timeout=180), site.airflow.api
    run = next(run for run in api.runs("late") if run.run_type == "scheduled")
    assert [run.state for run in api.runs("late")] == ["running", "running"]
    assert {mail.to: mail.subject for mail in mails} == {
        ("slow@example.com",): f"[late] late: slow was not done by {due + timedelta(seconds=10):%Y-%m-%d %H:%M:%S} UTC",
        ("ops@example.com", "boss@example.com"): (
            f"[late] late: the run was not done by {due + timedelta(seconds=20):%Y-%m-%d %H:%M:%S} UTC"
        ),
    }
    for mail, within in zip(sorted(mails, key=lambda mail: mail.at), (10, 20), strict=True):
        waited = (mail.at - due).total_seconds() - within
        assert 0 <= waited < 60, f"{within} s after the interval, and the mail came {waited:.1f} s later"
        assert f"{run.run_id} (scheduled)" in mail.body
        assert f"{due - timedelta(days=1):%Y-%m-%d %H:%M:%S} UTC to {due:%Y-%m-%d %H:%M:%S} UTC" in mail.body
        assert "Running: slow.wait_for_source." in mail.body
        assert f"<a href='{site.airflow.url}/dags/late/runs/scheduled" in mail.body

    passed = due + timedelta(seconds=105)
    site.airflow.wait_for(lambda: datetime.now(timezone.utc) > passed, timeout=180, what="the deadline of fast")
    assert len(post.about("late")) == 2, "fast was loaded in time, though its run goes on"
    site.land("slow.csv", "id\n1\n")


def _running(site: Site) -> list[str]:
    return [
        run.run_id for run in site.airflow.api.runs("late") if run.run_type == "backfill" and run.state == "running"
    ]
