"""The status page, from rows of Airflow's database to HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_ingest.notifications.sla import IN_TIME, TOLD
from tests.ui.conftest import Login
from tests.ui.rows import NOW, MadeDag, MadeRun, crowd, gate, put, put_alert, record

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

pytestmark = pytest.mark.airflow
HOUR = timedelta(hours=1)


def bazaar(**more: Any) -> MadeDag:
    """A pipeline with a good run and, an hour later, one that rejected rows of orders and held a batch of stock."""
    circuit = {"state": "open", "failures": 2, "reason": "two bad runs"}
    first = {
        "orders": record(ended=NOW - HOUR, read=1000),
        "stock": record(ended=NOW - HOUR, read=5),
        "gold.revenue": record(ended=NOW - HOUR, read=0),
    }
    second = {
        "orders": record(read=2000, rejected=50, open_letters=57, watermark="1234"),
        "stock": record("held", held=2, error="rule row_count: 3 rows, expected 5.."),
        "gold.revenue": record("unchanged", read=0, version=None, watermark=None, open_letters=None, held=None),
    }
    judged = {
        "orders.quality_gate": gate(("recent", "warning", 900), ("positive", "error", 50)),
        "gold.revenue": {"status": "loaded", "rules": [{"name": "r", "severity": "error", "passed": True}]},
    }
    runs = [
        MadeRun(second, circuit, judged, state="failed"),
        MadeRun(first, {"state": "closed", "failures": 0, "reason": ""}, ended=NOW - HOUR),
    ]
    return MadeDag("bazaar", ["orders", "stock", "new", "gold.revenue"], runs, **more)


def commit(session: Session, *dags: MadeDag) -> None:
    put(session, dags)
    session.commit()


def page_of(login: Login, role: str = "viewer") -> str:
    found = login(role).get("/status")
    assert found.status_code == 200, found.text
    return str(found.text)


def row(page: str, name: str) -> str:
    """What stands in the row of a table, as text with the titles and what links lead to."""
    found = re.search(rf'<tr data-text="{re.escape(name)} .*?</tr>', page, re.S)
    assert found, f"no row for {name}"
    return found[0]


def test_a_row_says_how_a_table_stands(session: Session, login: Login) -> None:
    commit(session, bazaar())

    page = page_of(login)

    orders = row(page, "bazaar.orders")
    assert 'href="/dags/bazaar/tasks/group/orders"' in orders
    assert 'class="state l0">loaded<' in orders
    assert "Rows in the last 2 runs: 2,000 last, between 1,000 and 2,000" in orders
    assert "Share rejected in the last 2 runs: 2.5% last, 2.5% most" in orders
    assert 'class="say l2" title="as of 2026-03-01 12:00 UTC">57<' in orders, "no form is there to be opened"
    assert 'href="/ingest/quality/bazaar/orders.quality_gate"' in orders
    assert "900 rows" in login("viewer").get("/quality/bazaar/orders.quality_gate").text
    assert "2 of 3 broken" in orders
    assert ">positive</small>" in orders, "an error is worse than any number of warnings"
    assert ">1234<" in orders
    assert 'href="/dags/bazaar/backfills"' in orders
    stock = row(page, "bazaar.stock")
    assert 'class="state l3">held<' in stock
    assert "rule row_count: 3 rows, expected 5.." in stock
    assert f'datetime="{(NOW - HOUR).isoformat()}"' in stock, "its last load was an hour before"
    assert 'class="say l3" title="as of 2026-03-01 12:00 UTC">2<' in stock
    assert "never ran" in row(page, "bazaar.new"), "a table is known before its first run"
    assert 'href="/dags/bazaar/tasks/gold.revenue"' in row(page, "bazaar.gold.revenue")
    assert "1 holds" in row(page, "bazaar.gold.revenue")
    pipeline = row(page, "bazaar")
    assert 'class="state l3">open<' in pipeline
    assert "two bad runs" in pipeline


def test_what_is_wrong_stands_first(session: Session, login: Login) -> None:
    commit(session, bazaar(), MadeDag("a", ["fine"], [MadeRun({"fine": record()})]))
    shown = re.findall(r'<tr data-text="(\S+)', page_of(login))
    assert shown[:2] == ["bazaar.stock", "bazaar.orders"]
    assert shown[5:] == ["bazaar", "a"]


def test_what_the_forms_have_done_since_counts(session: Session, login: Login) -> None:
    def by(form: str, at: Any, **value: Any) -> MadeRun:
        return MadeRun(returned={form: value}, kind="manual", conf={"table": value.pop("of")}, ended=at)

    replays = [
        by("replay", NOW + HOUR, of="bazaar.orders", replayed=7, dry_run=False),
        by("replay", NOW + HOUR, of="bazaar.orders", replayed=9, dry_run=True),
        by("replay", NOW + HOUR, of="other.orders", replayed=9, dry_run=False),
        by("replay", NOW - HOUR, of="bazaar.orders", replayed=9, dry_run=False),
    ]
    decided = [by("decide", NOW + 2 * HOUR, of="bazaar.stock", decision="released")]
    forms = [
        MadeDag("again", runs=replays, tags=["by hand", "dead letters"]),
        MadeDag("decide", runs=decided, tags=["by hand", "held batches"]),
        MadeDag("a_form_of_another_loader", tags=["dead letters"], fileloc="/dags/other.py"),
    ]
    commit(session, bazaar(), *forms)

    page = page_of(login)

    assert "50 dead letters of bazaar.orders, as of 2026-03-01 13:00 UTC: open the form in again" in page
    assert 'href="/dags/again"' in row(page, "bazaar.orders")
    assert "1 held batches of bazaar.stock, as of 2026-03-01 14:00 UTC: open the form in decide" in page


def test_a_run_that_could_record_nothing_is_seen(session: Session, login: Login) -> None:
    dag = bazaar()
    dag.runs = [MadeRun(state="failed", ended=NOW + HOUR), *dag.runs]
    commit(session, dag)
    orders = row(page_of(login), "bazaar.orders")
    assert 'class="state l3">failed<' in orders
    assert "The run run_0 failed, and could not record what it did with its tables." in orders


@pytest.mark.parametrize(
    ("alert", "dues", "next_end", "orders", "stock"),
    [
        pytest.param("bazaar", [("run_0", NOW, True)], None, "SLA 2 h missed", "SLA 2 h missed", id="missed"),
        pytest.param(
            "bazaar", [("run_1", NOW, True)], None, "SLA 2 h, 1 missed", "SLA 2 h, 1 missed", id="in time again"
        ),
        pytest.param("bazaar", [], None, "SLA 2 h", "SLA 2 h", id="in time"),
        pytest.param("bazaar", [], NOW, "SLA 2 h overdue", "SLA 2 h overdue", id="the run was never made"),
        pytest.param("bazaar.orders", [("run_0", NOW, True)], None, "SLA 2 h missed", "", id="of one table"),
    ],
)
def test_the_sla(alert: str, dues: Any, next_end: Any, orders: str, stock: str, session: Session, login: Login) -> None:
    put(session, [bazaar(next_end=next_end)])
    put_alert(session, "bazaar", alert, 7200, dues)
    session.commit()
    page = page_of(login)
    for name, told in (("orders", orders), ("stock", stock)):
        found = re.search(r"<small[^>]*>(SLA[^<]*)", row(page, f"bazaar.{name}"))
        assert (found[1] if found else "") == told


def test_a_table_that_was_there_in_time_missed_nothing(session: Session, login: Login) -> None:
    put(session, [bazaar()])
    put_alert(session, "bazaar", "sla of orders", 7200, [("run_0", NOW, True)], output=IN_TIME)
    put_alert(session, "bazaar", "sla of stock", 3600, [("run_0", NOW, True)], output=TOLD)
    session.commit()
    page = page_of(login)
    assert ">SLA 2 h</small>" in row(page, "bazaar.orders")
    assert ">SLA 1 h missed</small>" in row(page, "bazaar.stock")


def test_names_are_escaped(session: Session, login: Login) -> None:
    name = "<img src=x onerror=alert(1)>\"'&"
    told = {name: record("failed", error="<script>alert(2)</script>", watermark="<b>")}
    judged = {f"{name}.quality_gate": gate(("<i>", "error", 1))}
    commit(session, MadeDag('<u>"bazaar', [name], [MadeRun(told, {"state": "<s>", "reason": "<s>"}, judged)]))

    page = page_of(login)

    for bad in ("<img", "<u>", "<i>", "<b>", "<s>", "<script>alert"):
        assert bad not in page.split("<body>")[1].replace("<b>1</b>", "").replace("<b>0</b>", "")
    assert "&lt;img src=x" in page
    assert "/ingest/quality/%3Cu%3E%22bazaar/%3Cimg%20src%3Dx" in page


def test_nobody_sees_more_than_airflow_lets_them(
    session: Session, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    commit(session, bazaar(), MadeDag("secret", ["plans"], [MadeRun({"plans": record()})]))
    assert "plans" in page_of(login)
    report = "/quality/bazaar/orders.quality_gate"
    assert [login(None).get(page).status_code for page in ("/status", report)] == [401, 401]
    with monkeypatch.context() as without_rights:
        without_rights.setattr(SimpleAuthManager, "is_authorized_dag", lambda *_, **__: False)
        assert login("viewer").get("/status").status_code == 403
        assert login("viewer").get(report).status_code == 403
    assert login("viewer").get(report).status_code == 200
    monkeypatch.setattr(SimpleAuthManager, "get_authorized_dag_ids", lambda *_, **__: {"bazaar"})
    page = page_of(login)
    assert "orders" in page
    assert "plans" not in page
    assert "secret" not in page
    monkeypatch.setattr(SimpleAuthManager, "get_authorized_dag_ids", lambda *_, **__: set())
    assert "There is no pipeline yet, or none that you may see." in page_of(login)


def test_other_dags_and_stale_ones_are_left_out(session: Session, login: Login) -> None:
    commit(session, MadeDag("plain"), bazaar(stale=True))
    assert "There is no pipeline yet" in page_of(login)


def test_nothing_runs_on_the_page_but_its_own_script(session: Session, login: Login) -> None:
    import base64
    import hashlib

    commit(session, bazaar())
    found = login("viewer").get("/status")
    rules = dict(part.split(" ", 1) for part in found.headers["content-security-policy"].split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["frame-ancestors"] == "'self'"
    for element in ("style", "script"):
        inside = re.findall(rf"<{element}>(.*?)</{element}>", found.text, re.S)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
        assert rules[f"{element}-src"].split() == [f"'sha256-{digest}'" for digest in hashes]
    assert not re.search(r'\sstyle="|\son\w+="|(src|href)="(https?:)?//', found.text)


@contextmanager
def counted_queries() -> Iterator[list[str]]:
    from airflow import settings
    from sqlalchemy import event

    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(settings.engine, "before_cursor_execute", note)
    yield asked
    event.remove(settings.engine, "before_cursor_execute", note)


def test_more_tables_ask_no_more_queries(session: Session, login: Login) -> None:
    commit(session, *crowd(1, 10, 2, NOW))
    client = login("viewer")
    client.get("/status")
    with counted_queries() as few:
        client.get("/status")
    put(session, [MadeDag(f"other_{dag.dag_id}", dag.tables, dag.runs) for dag in crowd(4, 10, 2, NOW)])
    session.commit()
    with counted_queries() as many:
        assert client.get("/status").text.count('<tr data-text="') == 50 + 5
    assert len(many) == len(few) < 12
