"""What the callback of a missed deadline makes of the run that it finds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_ingest.notifications import sla
from airflow_ingest.notifications.sla import IN_TIME, NOT_TOLD, TOLD, Miss
from tests.mailbox import Mailbox, mailbox

RUN = {
    "dag_id": "shop",
    "dag_run_id": "scheduled__1",
    "run_type": "scheduled",
    "data_interval_start": "2026-01-01T00:00:00Z",
    "data_interval_end": "2026-01-02T00:00:00Z",
}
DEADLINE = {"deadline_time": "2026-01-02T02:00:00Z"}
STATES = {
    "orders.ingest_bronze": "success",
    "orders.quality_gate": "success",
    "orders.hold_batch": "skipped",
    "orders.merge_silver": "success",
    "prices.ingest_bronze": "running",
    "items.ingest_bronze": "failed",
    "items.merge_silver": "upstream_failed",
    "gold.revenue": None,
    "record_run": None,
}
EARLY, LATE = "2026-01-02T01:59:59+00:00", "2026-01-02T02:00:01+00:00"


def check_may_block() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()


class Found(Miss):
    """One that finds what the test says."""

    states: dict[str, str | None] = dict(STATES)
    ended = EARLY

    def _states(self) -> dict[str, str | None]:
        check_may_block()
        return self.states

    def _result(self, task: str) -> Any:
        check_may_block()
        assert task in ("orders.merge_silver", "prices.ingest_bronze")
        return {"ended": self.ended}


def miss(table: str = "", run: dict[str, Any] | None = None) -> Found:
    return Found(["a@example.com"], "2h", table, {"dag_run": {**RUN, **(run or {})}, "deadline": DEADLINE})


def told(late: Miss) -> str:
    return asyncio.run(late.tell())


@pytest.fixture
def box(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with mailbox() as box:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", box.connection())
        yield box


def test_a_late_run(box: Mailbox) -> None:
    assert told(miss()) == TOLD

    (mail,) = box.mails
    assert mail.subject == "[late] shop: the run was not done by 2026-01-02 02:00:00 UTC"
    for said in (
        "scheduled__1 (scheduled)",
        "2026-01-01 00:00:00 UTC to 2026-01-02 00:00:00 UTC",
        "The run had to be done 2h after the end of the data interval.",
        "Failed: items.ingest_bronze.",
        "Not run because of that: items.merge_silver.",
        "Running: prices.ingest_bronze.",
        "Not yet begun: gold.revenue.",
        "/dags/shop/runs/scheduled__1'",
    ):
        assert said in mail.body
    assert "record_run" not in mail.body


@pytest.mark.parametrize(
    ("table", "changes", "outcome"),
    [
        pytest.param("orders", {}, IN_TIME, id="loaded"),
        pytest.param("prices", {}, TOLD, id="running"),
        pytest.param("items", {}, TOLD, id="failed"),
        pytest.param("orders", {"orders.merge_silver": "skipped"}, IN_TIME, id="nothing to take"),
        pytest.param("orders", {"orders.hold_batch": "failed"}, TOLD, id="held"),
        pytest.param("orders", {"orders.merge_silver.profile": "running"}, IN_TIME, id="its profile does not count"),
        pytest.param("prices", {"prices.ingest_bronze": "success"}, IN_TIME, id="bronze alone"),
        pytest.param("order", {}, TOLD, id="no task of that table is known"),
    ],
)
def test_a_table(table: str, changes: dict[str, str | None], outcome: str, box: Mailbox) -> None:
    found = miss(table)
    object.__setattr__(found, "states", {**STATES, **changes})
    assert told(found) == outcome
    assert len(box.mails) == (outcome == TOLD)


def test_a_table_that_was_loaded_too_late_though_nobody_looked_in_time(box: Mailbox) -> None:
    found = miss("orders")
    object.__setattr__(found, "ended", LATE)
    assert told(found) == TOLD
    assert box.subjects == ["[late] shop: orders was not done by 2026-01-02 02:00:00 UTC"]
    assert "It is done by now." in box.mails[0].body


def test_a_run_that_a_backfill_took_over_is_not_late(box: Mailbox) -> None:
    assert told(miss(run={"run_type": "backfill"})) == IN_TIME
    assert box.mails == []


def test_a_mail_that_cannot_be_sent_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    with mailbox() as gone:
        monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", gone.connection())
    monkeypatch.setattr(sla, "_PAUSES", (0, 0))
    assert told(miss()) == NOT_TOLD


def test_a_mail_is_sent_once_the_server_takes_it(box: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sla, "_PAUSES", (0.5, 0.5, 60))
    box.refused = "[late]"

    async def later() -> str:
        asyncio.get_running_loop().call_later(0.3, setattr, box, "refused", "")
        return await miss().tell()

    assert asyncio.run(later()) == TOLD
    assert len(box.mails) == 1
