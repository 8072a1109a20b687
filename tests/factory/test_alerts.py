"""Deadlines, the task that tells people, and notifiers: what a pipeline file makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.config.pipeline import Alerts
from airflow_ingest.notifications.failed_run import FailedRun
from airflow_ingest.notifications.interval_end import IntervalEnd
from tests.factory.conftest import small
from tests.mailbox import Mailbox, mailbox

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG

Build = Callable[..., "DAG"]
SLA = "sla: {within: 2h}\nalerts: {email: [ops@example.com, boss@example.com]}\n"
OWN = "    sla: {within: 30m, email: [raw@example.com]}\n"


def with_table_sla(text: str) -> str:
    return text.replace("    extract: {mode: full}\n", f"    extract: {{mode: full}}\n{OWN}")


def test_a_deadline_for_the_run_and_one_for_the_table(build: Build) -> None:
    found: Any = build(with_table_sla(small(extra=SLA))).deadline

    assert [
        (alert.name, alert.interval, alert.reference, alert.callback.path, alert.callback.kwargs) for alert in found
    ] == [
        (
            "sla",
            timedelta(hours=2),
            IntervalEnd(timedelta(hours=2)),
            "airflow_ingest.notifications.sla.tell_of_miss",
            {"to": "ops@example.com boss@example.com", "within": "2h", "table": ""},
        ),
        (
            "sla of raw",
            timedelta(minutes=30),
            IntervalEnd(timedelta(minutes=30)),
            "airflow_ingest.notifications.sla.tell_of_miss",
            {"to": "raw@example.com", "within": "30m", "table": "raw"},
        ),
    ]


def test_a_table_without_addresses_takes_those_above(build: Build) -> None:
    text = with_table_sla(small(extra=SLA)).replace(", email: [raw@example.com]", "")
    found: Any = build(text.replace("{within: 2h}", "{within: 2h, email: [sla@example.com]}")).deadline
    assert [alert.callback.kwargs["to"] for alert in found] == ["sla@example.com", "sla@example.com"]


def test_without_them_there_is_neither_deadline_nor_task_nor_callback(build: Build) -> None:
    dag = build(small())
    assert (dag.deadline or None, dag.on_failure_callback) == (None, None)
    assert "send_alerts" not in dag.task_ids


def test_people_are_told_by_the_last_task_whatever_happened_before(build: Build) -> None:
    dag = build(small(extra="alerts: {email: [ops@example.com]}\ntask: {execution_timeout: 1h}\n"))
    task: Any = dag.get_task("send_alerts")

    assert task.upstream_task_ids == {"record_run"}
    assert task.is_teardown
    assert not task.on_failure_fail_dagrun
    assert (task.retries, task.chosen_as) == (0, "")
    assert (task.tables, task.gold) == ({"orders": 0.05, "raw": 0.05}, ("per_day",))
    assert dag.on_failure_callback == FailedRun(Alerts(email=["ops@example.com"]), "send_alerts")


def test_errors_of_tables_with_masked_columns_are_kept_out(build: Build) -> None:
    text = small(extra="alerts: {email: [ops@example.com]}\n")
    masked = "id: int, day: date, n: {type: string, mask: redact}"
    task: Any = build(text.replace("id: int, day: date", masked)).get_task("send_alerts")
    assert task.secretive == {"orders", "gold.per_day"}


@pytest.mark.airflow
def test_airflow_takes_the_deadlines_in_and_gives_them_back(build: Build) -> None:
    from airflow.serialization.serialized_objects import DagSerialization

    dag = build(with_table_sla(small(extra=SLA)))
    serialized = DagSerialization.to_dict(dag)
    assert serialized == DagSerialization.to_dict(build(with_table_sla(small(extra=SLA)))), "else versions pile up"
    assert IntervalEnd.deserialize_reference(serialized["dag"]["deadline"][1]["reference"]) == IntervalEnd(
        timedelta(minutes=30)
    )


NOTIFIER = """
from airflow.sdk import BaseNotifier

class Pager(BaseNotifier):
    def __init__(self, team, urgent=False):
        super().__init__()

def neither(team): ...
"""


@pytest.mark.parametrize(
    ("notifier", "message"),
    [
        pytest.param("{class: paging.Pager, args: {team: data}}", "", id="right"),
        pytest.param(
            "{class: paging.Peger}", "alerts.notify.critical[0].class: paging.Peger cannot be imported", id="class"
        ),
        pytest.param(
            "{class: pagin.Pager}", "class: pagin.Pager cannot be imported: ModuleNotFoundError: No module", id="module"
        ),
        pytest.param("{class: paging.neither}", "class: paging.neither is no notifier", id="no notifier"),
        pytest.param(
            "{class: paging.Pager, args: {taem: data}}",
            "args: paging.Pager does not take these arguments: missing a required argument: 'team'\n"
            "    It takes (team, urgent=False).",
            id="arguments",
        ),
    ],
)  # fmt: skip
def test_a_wrong_notifier_is_the_files_import_error(
    notifier: str, message: str, folder: Path, bag: Callable[[], DagBag], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(folder)
    (folder / "paging.py").write_text(NOTIFIER)
    (folder / "paged.yaml").write_text(small("paged", f"alerts: {{notify: {{critical: [{notifier}]}}}}\n"))

    found = bag()

    told = {Path(file).name: error for file, error in found.import_errors.items()}
    assert list(told) == (["paged.yaml"] if message else [])
    assert message in told.get("paged.yaml", "")
    assert "shop" in found.dags


def test_the_task_itself_does_not_import_notifiers_when_it_is_built(build: Build) -> None:
    assert "send_alerts" in build(small(extra="alerts: {notify: {info: [{class: nowhere.Pager}]}}\n")).task_ids


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mailbox() as box:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", box.connection())
        yield box


@pytest.mark.airflow
@pytest.mark.parametrize(
    ("state", "reason", "told"),
    [
        pytest.param("success", "task_failure", None, id="it has been told"),
        pytest.param(None, "task_failure", None, id="cleared meanwhile"),
        pytest.param("skipped", "timed_out", "the run was cut off by its dagrun_timeout", id="cut off"),
        pytest.param("failed", "task_failure", "the run failed", id="the task that tells was killed"),
        pytest.param(None, "all_tasks_deadlocked", "the run is stuck: what is left of it waits for itself", id="stuck"),
    ],
)
def test_a_failed_run_is_told_by_the_callback_where_the_task_could_not(
    state: str | None, reason: str, told: str | None, build: Build, box: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = {"orders.ingest_bronze": "failed", "send_alerts": state}
    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda dag_id, run_ids: {run_ids[0]: states})
    dag = build(small(extra="alerts: {email: [ops@example.com]}\n"))
    call: Any = dag.on_failure_callback

    call({"dag": dag, "run_id": "manual__1", "reason": reason})

    assert box.subjects == ([f"[critical] shop: {told}"] if told else [])
    assert all("Failed: orders.ingest_bronze" in mail.body for mail in box.mails)


@pytest.mark.airflow
def test_the_callback_raises_nothing(build: Build, caplog: pytest.LogCaptureFixture) -> None:
    FailedRun(Alerts(email=["ops@example.com"]), "send_alerts")({"run_id": "r"})
    assert "Nobody could be told that the run failed: " in caplog.text
