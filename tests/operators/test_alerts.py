"""The task that tells people: what it gathers of a run, to whom it sends it, and that it fails no run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from airflow.sdk import BaseNotifier

from airflow_ingest.config.pipeline import Alerts
from airflow_ingest.operators import SendAlertsOperator
from tests.mailbox import Mailbox, mailbox

pytestmark = pytest.mark.airflow

BATCH = {"table": "orders", "id": "b1", "generation": 1, "run_id": "r", "processing_date": "2026-01-01"}
INGESTED = {"status": "loaded", "batch": BATCH, "rows": {"read": 100}, "seconds": 1.0, "attempt": 1}
PASSED = {"decision": "pass", "batch": BATCH, "rows": {"read": 100, "rejected": 0}, "reasons": [], "rules": []}
MERGED = {"status": "loaded", "batch": BATCH, "rows": {"read": 100, "inserted": 100}, "seconds": 1.0}
WELL = {
    "orders.ingest_bronze": ("success", INGESTED),
    "orders.quality_gate": ("success", [PASSED]),
    "orders.hold_batch": ("skipped", None),
    "orders.merge_silver": ("success", MERGED),
    "gold.revenue": ("skipped", None),
    "record_run": ("success", None),
    "send_alerts": ("running", None),
}
FAILED = {**WELL, "orders.merge_silver": ("failed", None), "gold.revenue": ("upstream_failed", None)}
OPS = {"email": ["ops@example.com"]}


class Noting(BaseNotifier):
    """A notifier of another package."""

    template_fields = ("text",)
    noted: ClassVar[list[str]] = []

    def __init__(self, *, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        if "boom" in self.text:
            raise ValueError("boom")
        self.noted.append(self.text)


class Store(dict[str, Any]):
    """What a task keeps for when it runs again."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value


@pytest.fixture(autouse=True)
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    Noting.noted.clear()
    with mailbox() as box:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", box.connection())
        yield box


Send = Callable[..., "dict[str, Any] | None"]


@pytest.fixture
def send(make_context: Any, monkeypatch: pytest.MonkeyPatch) -> Send:
    """Run the task behind `tasks`, a state and a result for each, after a run that ended as `before` says."""
    from airflow.sdk import DAG
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    def run(
        tasks: dict[str, tuple[str, Any]],
        alerts: dict[str, Any] = OPS,
        *,
        before: tuple[str, Any] | None = None,
        store: Store | None = None,
        run_type: str = "scheduled",
        secretive: tuple[str, ...] = (),
        form: dict[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        def pull(self: Any, task_ids: str, run_id: str | None = None, **_: Any) -> Any:
            if run_id is not None:
                assert (run_id, task_ids) == ("before", "send_alerts")
                return before and before[1]
            return tasks[task_ids][1]

        states = {task: state for task, (state, _) in tasks.items()}
        known = SimpleNamespace(run_id="before", state=before[0]) if before else None
        monkeypatch.setattr(RuntimeTaskInstance, "xcom_pull", pull)
        monkeypatch.setattr(RuntimeTaskInstance, "get_previous_dagrun", lambda self: known)
        monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", lambda *_, run_ids: {run_ids[0]: states})
        task = SendAlertsOperator(
            task_id="send_alerts",
            alerts=Alerts.model_validate(alerts),
            tables={"orders": 0.05},
            gold=["revenue"],
            secretive=secretive,
            dag=DAG("shop", schedule=None),
        )
        task.chosen_as = ""
        context = make_context(task, run_type)
        context["params"] = form or {}
        context["task_state_store"] = store if store is not None else Store()
        return task.execute(context)

    return run


def test_nobody_hears_of_a_run_that_is_well(send: Send, box: Mailbox) -> None:
    assert send(WELL) == {"unwell": False, "told": []}
    assert box.mails == []


def test_a_failure_is_told_with_what_is_written_down_of_it(send: Send, box: Mailbox) -> None:
    written = {"tables": {"orders": {"error": "ValueError: no", "attempts": 3}}, "circuit": None}
    found = send({**FAILED, "record_run": ("success", written)})

    assert found == {"unwell": True, "told": ["[critical] shop: orders failed"]}
    (mail,) = box.mails
    assert mail.to == ("ops@example.com",)
    assert "orders: failed in orders.merge_silver after 3 tries: ValueError: no" in mail.body
    assert "Not run because of that: gold.revenue." in mail.body


def test_a_failure_is_told_though_spark_was_down_for_record_run_too(send: Send, box: Mailbox) -> None:
    send(FAILED)
    assert "orders: failed in orders.merge_silver: see the task&#x27;s log" in box.mails[0].body


def test_no_value_of_a_masked_column_gets_into_a_mail(send: Send, box: Mailbox) -> None:
    written = {"tables": {"orders": {"error": "SparkError: cannot cast 'secret'"}}}
    send({**FAILED, "record_run": ("success", written)}, secretive=("orders",))
    assert "secret" not in box.mails[0].body


def test_the_circuit_that_this_run_has_opened(send: Send, box: Mailbox) -> None:
    closed = {"state": "closed", "failures": 2}
    after = {"state": "open", "failures": 3, "reason": "the circuit is open after 3 bad runs in a row"}
    tasks = {**FAILED, "check_circuit": ("success", closed), "record_run": ("success", {"circuit": after})}
    send(tasks)
    assert box.subjects == [
        "[critical] shop: orders failed",
        "[critical] shop: the circuit breaker has stopped the runs",
    ]


def test_each_incident_goes_the_ways_of_its_level(send: Send, box: Mailbox) -> None:
    noting = {
        "class": f"{__name__}.Noting",
        "args": {"text": "{{ alert.level }} {{ alert.headline }} {{ dag.dag_id }}"},
    }
    gate = {**PASSED, "decision": "warn", "rows": {"read": 100, "rejected": 8}}
    told = {**WELL, "orders.quality_gate": ("success", [gate])}

    send(told, {**OPS, "notify": {"warning": [noting], "critical": [noting]}})
    assert box.subjects == ["[warning] shop: many rows of orders were rejected"]
    assert Noting.noted == ["warning many rows of orders were rejected shop"]

    send(told, {"notify": {"critical": [noting]}, "levels": {"high_reject_rate": "critical"}})
    assert len(box.mails) == 1, "nobody is named"
    assert Noting.noted[1:] == ["critical many rows of orders were rejected shop"]

    assert send(told, {**OPS, "levels": {"high_reject_rate": "none"}}) == {"unwell": False, "told": []}


@pytest.mark.parametrize(
    "notifier",
    [
        {"class": "nowhere.Noting", "args": {}},
        {"class": f"{__name__}.Noting", "args": {"txt": "typo"}},
        {"class": f"{__name__}.Noting", "args": {"text": "{{ 1 / 0 }}"}},
        {"class": f"{__name__}.Noting", "args": {"text": "boom"}},
    ],
    ids=["no such class", "other arguments", "a template that fails", "it fails"],
)
def test_a_broken_notifier_fails_no_run_and_keeps_no_mail_back(
    notifier: Any, send: Send, box: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    found = send(FAILED, {**OPS, "notify": {"critical": [notifier]}})
    assert found == {"unwell": True, "told": ["[critical] shop: orders failed"]}
    assert "could not tell of '[critical] shop: orders failed'" in caplog.text


def test_a_broken_mail_server_fails_no_run(send: Send, monkeypatch: pytest.MonkeyPatch) -> None:
    with mailbox() as gone:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", gone.connection())
    assert send(FAILED) == {"unwell": True, "told": []}


def test_a_run_that_cannot_be_looked_at_fails_no_run(send: Send) -> None:
    assert send({"orders.quality_gate": ("success", "nonsense"), "record_run": ("success", None)}) is None


def test_the_interval_is_the_one_that_the_form_asked_for(send: Send, box: Mailbox) -> None:
    form = {"interval_from": "2026-03-01T00:00:00Z", "interval_to": "2026-03-02T00:00:00Z"}
    send(FAILED, run_type="manual", form=form)
    assert "2026-03-01 00:00:00 UTC to 2026-03-02 00:00:00 UTC" in box.mails[0].body


@pytest.mark.parametrize(("tables", "told"), [([], True), (["orders"], True), (["others"], False)])
def test_a_table_that_the_form_left_out_had_no_data_to_come(
    tables: list[str], told: bool, send: Send, box: Mailbox
) -> None:
    skipped = {task: ("skipped", None) for task in WELL if task.startswith("orders.")}
    send({**WELL, **skipped}, form={"tables": tables})
    assert box.subjects == (["[info] shop: no data for orders"] if told else [])


@pytest.mark.parametrize(
    ("before", "run_type", "recovered"),
    [
        pytest.param(("failed", None), "scheduled", True, id="the run before failed"),
        pytest.param(("failed", None), "manual", True, id="a manual one after it"),
        pytest.param(("failed", None), "backfill", False, id="a backfill has no run before it"),
        pytest.param(("success", {"unwell": True}), "scheduled", True, id="stopped by the circuit after a failure"),
        pytest.param(("success", {"unwell": False}), "scheduled", False, id="the run before was well"),
        pytest.param(("success", None), "scheduled", False, id="it had no alerts yet"),
        pytest.param(None, "scheduled", False, id="the first run"),
    ],
)
def test_recovered(before: Any, run_type: str, recovered: bool, send: Send, box: Mailbox) -> None:
    send(WELL, before=before, run_type=run_type)
    assert box.subjects == (["[info] shop: well again"] if recovered else [])


def test_a_run_that_is_cleared_after_it_failed_recovers_too_and_once(send: Send, box: Mailbox) -> None:
    store = Store()
    for tasks in (FAILED, WELL, WELL):
        send(tasks, store=store)
    assert box.subjects == ["[critical] shop: orders failed", "[info] shop: well again"]


def test_a_stopped_run_hands_on_that_the_run_before_was_bad(send: Send, box: Mailbox) -> None:
    opened = {"state": "open", "failures": 3, "reason": "it is open", "next_trial": "2026-01-01T12:00:00Z"}
    stopped = {task: ("skipped", None) for task in WELL if task.startswith(("orders.", "gold."))}
    tasks = {**WELL, **stopped, "check_circuit": ("success", opened)}
    assert send(tasks, before=("failed", None)) == {"unwell": True, "told": []}
    assert send(tasks, before=("success", None)) == {"unwell": False, "told": []}
