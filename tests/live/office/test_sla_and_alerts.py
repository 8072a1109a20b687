"""On a running Airflow with a mail server: missed deadlines, failed runs and runs that are cut off are told, once."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

import pytest

from tests.live.conftest import PATIENCE, Office

pytestmark = [pytest.mark.live, pytest.mark.slow]

LATE = """
pipeline: late
schedule: "{minute} {hour} * * *"
start_date: {start}
lake: ${{LAKE_ROOT}}/late
retries: {{attempts: 3, delay: 2s}}
sla: {{within: 20s, email: [ops@example.com, "boss@example.com"]}}
tables:
  slow:
    source: {{files: "${{LANDING_ROOT}}/slow.csv", format: csv}}
    wait: {{timeout: 1h, poll: 10m}}
    sla: {{within: 10s, email: [slow@example.com]}}
    silver: {{columns: {{id: int}}, keys: [id]}}
  fast:
    source: {{files: "${{LANDING_ROOT}}/fast.csv", format: csv}}
    sla: {{within: 90s, email: [fast@example.com]}}
"""
BROKEN = """
pipeline: broken
schedule: null
lake: ${LAKE_ROOT}/broken
retries: {attempts: 2, delay: 1s}
alerts:
  email: [ops@example.com]
  notify:
    critical: &noting [{class: noting.Noting, args: {file: "{{ dag.dag_id }}.txt", text: "{{ alert.subject }}"}}]
    info: *noting
tables:
  orders:
    source: {files: "${LANDING_ROOT}/orders.csv", format: csv}
    silver: {columns: {id: int}, keys: [id]}
gold:
  counted: {sql: SELECT count(*) AS n FROM silver.orders, load: overwrite}
"""
EVENTFUL = """
pipeline: eventful
schedule: null
lake: ${LAKE_ROOT}/eventful
retries: {attempts: 2, delay: 1s}
circuit_breaker: {failures: 1}
alerts:
  email: [ops@example.com]
  levels: {no_data: none, stale: critical}
  notify:
    critical: [{class: noting.Noting, args: {file: critical.txt, text: "{{ alert.event }}"}}]
    warning: [{class: noting.Noting, args: {file: warning.txt, text: "{{ alert.event }}"}}]
defaults: {extract: {mode: full}}
tables:
  few:
    source: {files: "${LANDING_ROOT}/eventful.csv", format: csv}
    silver: &typed {columns: {id: int, at: timestamp}, keys: [id]}
    quality: {alert_reject_rate: 90%, rules: [{row_count: {min: 9}, of: all}]}
  poor:
    source: {files: "${LANDING_ROOT}/eventful.csv", format: csv}
    silver: *typed
    quality:
      alert_reject_rate: 10%
      rules:
        - {name: small, expect: id < 3, severity: warning}
        - {freshness: {column: at, max_age: 1d}, severity: warning}
  empty:
    source: {files: "${LANDING_ROOT}/empty.csv", format: csv}
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
BARREN = """
pipeline: barren
schedule: null
lake: ${LAKE_ROOT}/barren
alerts: {email: [ops@example.com]}
tables:
  empty:
    source: {files: "${LANDING_ROOT}/empty.csv", format: csv}
    extract: {mode: full}
"""
CUT_OFF = """
pipeline: cut_off
schedule: null
lake: ${LAKE_ROOT}/cut_off
dag: {dagrun_timeout: 6s}
alerts: {email: [ops@example.com]}
tables:
  orders:
    source: {files: "${LANDING_ROOT}/never.csv", format: csv}
    wait: {timeout: 1h, poll: 10m}
    extract: {mode: full}
"""


@pytest.fixture(scope="module", autouse=True)
def due(office: Office) -> datetime:
    """When the interval ends whose run will be late; its run, and a backfill's, go on while other tests run."""
    site = office.site
    site.land("fast.csv", "id\n1\n")
    site.drop("noting.py", NOTING)
    due = (datetime.now(timezone.utc) + timedelta(seconds=200)).replace(second=0, microsecond=0)
    office.drop("late", LATE.format(minute=due.minute, hour=due.hour, start=(due - timedelta(days=1)).isoformat()))
    site.airflow.api.backfill("late", due - timedelta(days=3), due - timedelta(days=3))
    return due


def test_a_task_that_fails_for_good_is_told_once_and_so_is_that_it_is_well_again(office: Office) -> None:
    site, api = office.site, office.site.airflow.api
    days = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3)]
    office.drop("broken", BROKEN)

    first = _run(office, "broken", "failed", days[0])

    (mail,) = office.about("broken")
    assert (mail.subject, mail.to) == ("[critical] broken: orders failed", ("ops@example.com",))
    assert f"{first} (manual)" in mail.body
    assert "orders: failed in orders.ingest_bronze" in mail.body
    assert "Not run because of that: gold.counted." in mail.body
    assert f"<a href='{site.airflow.url}/dags/broken/runs/manual" in mail.body
    tasks = {task.task_id: task for task in api.tasks("broken", first)}
    assert (tasks["orders.ingest_bronze"].state, tasks["orders.ingest_bronze"].try_number) == ("failed", 2)
    assert tasks["send_alerts"].state == "success"
    noted = ["[critical] broken: orders failed"]
    assert (site.landing / "broken.txt").read_text().splitlines() == noted

    site.land("orders.csv", "id\n1\n")
    api.clear("broken", first)
    site.over("broken", first)
    assert office.about("broken")[-1].subject == "[info] broken: well again", "the run that failed was cleared"

    (site.landing / "orders.csv").unlink()
    _run(office, "broken", "failed", days[1])
    assert office.about("broken")[-1].subject == "[critical] broken: orders failed"

    site.land("orders.csv", "id\n1\n")
    office.box.refused = "] broken: "
    last = _run(office, "broken", "success", days[2])
    office.box.refused = ""
    assert len(office.about("broken")) == 3, "the mail server takes no mail"
    assert "no room for another mail" in api.log("broken", last, "send_alerts", 1)
    noted += ["[info] broken: well again", noted[0], "[info] broken: well again"]
    assert (site.landing / "broken.txt").read_text().splitlines() == noted, "and others are told all the same"


def test_every_event_of_a_run_is_told_once_by_the_ways_of_its_level(office: Office) -> None:
    site = office.site
    site.land("eventful.csv", "id,at\n1,2026-01-01 00:00:00\n2,2026-01-02 00:00:00\n3,2026-01-03 00:00:00\nx,\n")
    site.land("empty.csv", "id,at\n")
    office.drop("eventful", EVENTFUL)

    run_id = _run(office, "eventful", "failed")

    mails = {mail.subject: mail for mail in office.about("eventful")}
    assert len(mails) == len(office.about("eventful")), "once each"
    assert set(mails) == {
        "[critical] eventful: the quality gate has blocked few",
        "[critical] eventful: the circuit breaker has stopped the runs",
        "[critical] eventful: poor is stale",
        "[warning] eventful: many rows of poor were rejected",
        "[warning] eventful: warnings of the quality gate for poor",
    }
    assert {mail.to for mail in mails.values()} == {("ops@example.com",)}
    assert all(f"{run_id} (manual)" in mail.body for mail in mails.values())
    assert "poor: 25.00% of the rows were rejected (1 of 4)" in mails[_of(mails, "many rows")].body
    assert "rule small" in mails[_of(mails, "warnings of")].body
    noted = {level: (site.landing / f"{level}.txt").read_text().split() for level in ("critical", "warning")}
    assert sorted(noted["critical"]) == ["circuit_open", "gate_error", "stale"]
    assert sorted(noted["warning"]) == ["gate_warning", "high_reject_rate"]

    stopped = _run(office, "eventful", "success")
    assert len(office.about("eventful")) == len(mails), "that the circuit is open is known"
    assert "no_data" not in office.site.airflow.api.log("eventful", stopped, "send_alerts", 1)


def test_a_source_without_rows_is_told_and_a_run_that_is_cut_off_though_its_last_tasks_never_run(
    office: Office,
) -> None:
    site, api = office.site, office.site.airflow.api
    office.drop("cut_off", CUT_OFF)
    cut = api.trigger("cut_off").run_id
    site.land("empty.csv", "id,at\n")
    office.drop("barren", BARREN)
    barren = _run(office, "barren", "success")
    (mail,) = office.about("barren")
    assert (mail.subject, mail.to) == ("[info] barren: no data for empty", ("ops@example.com",))
    assert f"{barren} (manual)" in mail.body

    site.airflow.wait_for(lambda: bool(office.about("cut_off")), timeout=120, what="the mail of the run cut off")
    (mail,) = office.about("cut_off")
    assert mail.subject == "[critical] cut_off: the run was cut off by its dagrun_timeout"
    assert f"{cut} (manual)" in mail.body
    assert {task.task_id: task.state for task in api.tasks("cut_off", cut)}["send_alerts"] == "skipped"


def test_a_missed_deadline_is_told_once_in_time_and_for_the_run_of_the_schedule_alone(
    office: Office, due: datetime
) -> None:
    site, api = office.site, office.site.airflow.api
    passed = due + timedelta(seconds=105)
    site.airflow.wait_for(
        lambda: datetime.now(timezone.utc) > passed and len(office.about("late")) >= 2,
        timeout=PATIENCE,
        what="the deadlines of slow and of the run, and of fast that met its own",
    )

    mails = office.about("late")
    runs = {run.run_type: run for run in api.runs("late")}
    assert {kind: run.state for kind, run in runs.items()} == {"backfill": "running", "scheduled": "running"}
    began = runs["backfill"].started
    assert began is not None
    assert began < due, "the backfill was there when the deadlines were missed"
    assert len(mails) == 2, "fast was loaded in time, though its run goes on"
    assert {mail.to: mail.subject for mail in mails} == {
        ("slow@example.com",): f"[late] late: slow was not done by {due + timedelta(seconds=10):%Y-%m-%d %H:%M:%S} UTC",
        ("ops@example.com", "boss@example.com"): (
            f"[late] late: the run was not done by {due + timedelta(seconds=20):%Y-%m-%d %H:%M:%S} UTC"
        ),
    }
    for mail, within in zip(sorted(mails, key=lambda mail: mail.at), (10, 20), strict=True):
        waited = (mail.at - due).total_seconds() - within
        assert 0 <= waited < 60, f"{within} s after the interval, and the mail came {waited:.1f} s later"
        assert f"{runs['scheduled'].run_id} (scheduled)" in mail.body
        assert f"{due - timedelta(days=1):%Y-%m-%d %H:%M:%S} UTC to {due:%Y-%m-%d %H:%M:%S} UTC" in mail.body
        assert "Running: slow.wait_for_source." in mail.body
        assert f"<a href='{site.airflow.url}/dags/late/runs/scheduled" in mail.body


def test_nobody_was_told_of_anything_twice(office: Office) -> None:
    counts = {pipeline: len(office.about(pipeline)) for pipeline in ("broken", "eventful", "barren", "cut_off", "late")}
    assert counts == {"broken": 3, "eventful": 5, "barren": 1, "cut_off": 1, "late": 2}


def _run(office: Office, pipeline: str, state: str, day: datetime | None = None) -> str:
    """Has a pipeline run once, sees how the run ends, and returns its id; its mails are sent by then."""
    run_id = office.site.airflow.api.trigger(pipeline, logical_date=day).run_id
    (run,) = office.site.over(pipeline, run_id)
    assert run.state == state, office.site.failures(pipeline)
    return run_id


def _of(subjects: Iterable[str], words: str) -> str:
    return next(subject for subject in subjects if words in subject)
