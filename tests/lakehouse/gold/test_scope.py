"""What of a gold table is made anew, as far as it can be told without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from airflow_ingest.config import Gold
from airflow_ingest.lakehouse.gold import changes
from airflow_ingest.lakehouse.gold.changes import Trace, scope_of, traced
from airflow_ingest.lakehouse.gold.news import BASE, INPUTS, News
from airflow_ingest.lakehouse.gold.scope import Among, Part, Scope
from airflow_ingest.lakehouse.log import Commit

ORDERS = "SELECT o.order_id, o.day, o.customer_id FROM silver.orders o JOIN silver.shops s ON o.shop = s.shop"
FACT: dict[str, Any] = {
    "sql": ORDERS,
    "load": "merge",
    "keys": ["order_id"],
    "dimensions": {"customer_key": {"table": "gold.customers", "key": "id", "by": "customer_id"}},
}
NOTHING: Any = None


def gold(**more: Any) -> Gold:
    return Gold.model_validate({**FACT, **more})


@pytest.mark.parametrize(
    ("among", "sql"),
    [
        pytest.param(Among("n", (3, 1)), "`n` IN (1, 3)", id="listed"),
        pytest.param(Among("n", (1, 9), span=True), "`n` BETWEEN 1 AND 9", id="span"),
        pytest.param(Among("n", (None, 1)), "`n` IS NULL OR `n` IN (1)", id="with NULL"),
        pytest.param(Among("n", (None,)), "`n` IS NULL", id="NULL alone"),
        pytest.param(Among("a`b", ("it's",)), "`a``b` IN ('it\\'s')", id="quoted"),
    ],
)
def test_a_condition_names_the_values(among: Among, sql: str) -> None:
    assert among.sql() == sql


def test_dates_ahead_are_those_that_a_window_of_that_length_reaches() -> None:
    first, last = date(2026, 1, 1), date(2026, 2, 1)
    listed = Among("day", (first, last)).ahead(timedelta(days=2))
    assert listed.known == [first, date(2026, 1, 2), last, date(2026, 2, 2)]
    assert Among("day", (first, last), span=True).ahead(timedelta(days=3)).sql() == (
        "`day` BETWEEN DATE'2026-01-01' AND DATE'2026-02-03'"
    )
    assert Among("day", (first,)).ahead(timedelta(hours=5)).known == [first]


def test_a_scope_is_any_of_its_parts_and_tells_how_many() -> None:
    keys = Part((Among("a", (1, 2)), Among("b", ("x",))), 2)
    scope = Scope((keys, Part((Among("c", (7,)),), 1)))
    assert scope.sql("t") == "(t.`a` IN (1, 2)) AND (t.`b` IN ('x')) OR (t.`c` IN (7))"
    assert (str(scope), scope.values) == ("3 keys", ("1", "2", "x", "7"))
    many = Scope((Part((Among("a", (1, 9999), span=True),), 1001),))
    assert (str(many), many.values) == ("more than 1000 keys", None)


@pytest.mark.parametrize(
    ("table", "trace"),
    [
        pytest.param(gold(), Trace("silver.orders", {"order_id": "order_id"}), id="a key"),
        pytest.param(
            gold(keys=["order_key"], surrogate_key={"order_key": ["order_id", "day"]}),
            Trace("silver.orders", {"order_id": "order_id", "day": "day"}),
            id="what a surrogate key is made of",
        ),
        pytest.param(
            gold(keys=["customer_key", "day"]), Trace("silver.orders", {"day": "day"}), id="a looked-up key beside it"
        ),
        pytest.param(gold(sql="SELECT max(order_id) AS order_id FROM silver.orders"), None, id="an expression"),
        pytest.param(
            Gold.model_validate(
                {
                    "aggregate": {
                        "from": "silver.orders",
                        "by": ["shop"],
                        "over": {"order_by": "day", "rolling": "7 days"},
                        "measures": {"n": "count(*)"},
                    },
                    "load": "merge",
                    "keys": ["shop", "day"],
                }
            ),
            Trace("silver.orders", {"shop": "shop", "day": "day"}),
            id="an aggregate",
        ),
    ],
)
def test_keys_are_traced_to_the_columns_of_one_input(table: Gold, trace: Trace | None) -> None:
    assert traced(table) == trace


@pytest.fixture
def feeds(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[Any, ...]] | None]:
    """By an input's path, what its change feed says was touched."""
    touched: dict[str, list[tuple[Any, ...]] | None] = {}
    monkeypatch.setattr(changes, "touched_values", lambda spark, path, columns, first, last, at_most: touched[path])
    return touched


def scope(table: Gold, changed: Mapping[str, int]) -> Scope | None:
    inputs = {name: name for name in table.inputs}
    taken = dict.fromkeys(inputs, 1)
    return scope_of(NOTHING, table, "own", inputs, taken, {**taken, **changed})


def test_changed_facts_and_changed_members_are_both_made_anew(feeds: dict[str, Any]) -> None:
    feeds.update({"silver.orders": [(5,), (4,)], "gold.customers": [(7,)]})
    found = scope(gold(), {"silver.orders": 3})
    assert found is not None
    assert (found.sql(), found.by_key) == ("(`order_id` IN (4, 5))", True)
    found = scope(gold(), {"silver.orders": 3, "gold.customers": 2})
    assert found is not None
    assert sorted(found.sql().split(" OR ")) == ["(`customer_id` IN (7))", "(`order_id` IN (4, 5))"]
    assert not found.by_key


@pytest.mark.parametrize(
    ("changed", "touched"),
    [
        pytest.param({"silver.shops": 2}, [(1,)], id="an input that no key comes from"),
        pytest.param({"silver.orders": 2}, None, id="a change feed that is gone"),
        pytest.param({"silver.orders": 0}, [(1,)], id="an input that went back"),
        pytest.param({"silver.orders": 2}, [(1.5,)], id="values that cannot be written down"),
    ],
)
def test_in_doubt_all_is_made_anew(changed: Mapping[str, int], touched: Any, feeds: dict[str, Any]) -> None:
    feeds.update(dict.fromkeys(("silver.orders", "silver.shops"), touched))
    assert scope(gold(), changed) is None


def test_versions_without_changed_rows_reach_nothing(feeds: dict[str, Any]) -> None:
    feeds["silver.orders"] = []
    found = scope(gold(), {"silver.orders": 2})
    assert found is not None
    assert found.is_empty


@pytest.mark.parametrize(
    ("between", "sound"),
    [([], True), (["OPTIMIZE"], True), (["MERGE"], False)],
    ids=["nobody", "maintenance", "another load"],
)
def test_a_table_that_changed_under_its_comparison_is_not_sound(between: list[str], sound: bool) -> None:
    commits = [Commit(4 + number, operation, {}) for number, operation in enumerate(between)]
    own = Commit(4 + len(commits), "MERGE", {INPUTS: {}, BASE: 3})
    assert News("own", [own, *reversed(commits)], "q", {}, {}).is_sound is sound
