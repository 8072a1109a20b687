"""Kinds of rules, and packs of rules, that an installed package brings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.config import ConfigError, ExpectRule, SqlRule, parse_pipeline, parse_table
from airflow_ingest.config.installed import installed

MODULE = """
from typing import Literal
from airflow_ingest.config import CustomRule

class Even(CustomRule):
    template = "{column:column} % {by} = 0"
    column: str
    by: int = 2

class Balanced(CustomRule):
    scope = "batch"
    sides: tuple[str, str]
    def sql(self) -> str:
        left, right = self.sides
        return f"SELECT sum(`{left}`) = sum(`{right}`) FROM batch"

LUHN = "luhn_check({card:column})"
SEEN = "SELECT count_if({column:column} IN ({values})) > 0 FROM batch"
NOT_A_RULE = 7
PACK = [{"name": "positive", "expect": "amount > 0"}, {"even": {"column": "amount"}}]
"""
ENTRY_POINTS = """
[airflow_ingest.rules]
even = house_rules:Even
balanced = house_rules:Balanced
luhn = house_rules:LUHN
seen = house_rules:SEEN
broken = house_rules:ABSENT
number = house_rules:NOT_A_RULE

[airflow_ingest.rule_packs]
house = house_rules:PACK
lost = house_rules:ABSENT
"""
PIPELINE = """\
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: /lake
tables:
  orders:
    source: {files: "/in/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int, card: string}, keys: [id]}
    quality:
"""


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "house_rules.py").write_text(MODULE)
    info = tmp_path / "house_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-rules\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    installed.cache_clear()
    yield
    sys.modules.pop("house_rules", None)
    installed.cache_clear()


def rules_of(*rules: object, **quality: object) -> list[Any]:
    spec = {
        "source": {"files": "/in/x.csv", "format": "csv"},
        "silver": {"columns": {"id": "int", "amount": "int", "card": "string"}, "keys": ["id"]},
        "quality": {"rules": list(rules), **quality},
    }
    return list(parse_table(spec, name="orders").quality.rules)


def test_a_class_with_a_template_is_an_expectation_in_which_null_holds() -> None:
    assert rules_of({"even": {"column": "amount"}, "severity": "warning"}) == [
        ExpectRule(expect="coalesce((`amount` % 2 = 0), true)", name="even(amount, 2)", severity="warning")
    ]


def test_a_class_that_makes_its_sql_is_a_query_over_the_batch() -> None:
    assert rules_of({"balanced": {"sides": ["id", "amount"]}, "of": "all"}) == [
        SqlRule(sql="SELECT sum(`id`) = sum(`amount`) FROM batch", name="balanced(id, amount)", of="all")
    ]


def test_of_a_text_the_places_are_the_arguments_and_a_single_one_needs_no_name() -> None:
    rules = rules_of({"luhn": "card"}, {"seen": {"column": "amount", "values": [1, 2]}})
    assert [getattr(rule, rule.kind) for rule in rules] == [
        "coalesce((luhn_check(`card`)), true)",
        "SELECT count_if(`amount` IN (1, 2)) > 0 FROM batch",
    ]


def test_what_the_file_says_stays_a_value_or_a_name() -> None:
    (rule,) = rules_of({"seen": {"column": "amount", "values": ["x') OR (true", "a\\'b"]}})
    assert rule.sql == "SELECT count_if(`amount` IN ('x\\') OR (true', 'a\\\\\\'b')) > 0 FROM batch"
    with pytest.raises(ConfigError, match="there is no column"):
        rules_of({"luhn": "card`) OR true --"})


def test_rules_of_one_kind_with_the_same_arguments_are_told_apart() -> None:
    assert [rule.name for rule in rules_of({"luhn": "card"}, {"luhn": "card"})] == ["luhn(card)", "luhn(card) #2"]


def test_a_pack_of_a_package_comes_before_the_rules_of_the_table_and_gives_way_to_its_names() -> None:
    assert [rule.name for rule in rules_of({"row_count": {"min": 1}}, packs=["house"])] == [
        "positive",
        "even(amount, 2)",
        "row_count",
    ]
    (even, own) = rules_of({"name": "positive", "expect": "amount > 5"}, packs=["house"])
    assert (even.name, own.expect) == ("even(amount, 2)", "amount > 5")


@pytest.mark.parametrize(
    ("quality", "told"),
    [
        ("rules: [{even: {colum: id}}]", ':10:23: tables.orders.quality.rules[0].even.colum: unknown key "colum"'),
        ("rules: [{even: {column: ids}}]", 'there is no column "ids" in silver.orders'),
        ("rules: [{even: [id, 2]}]", "must be a mapping of keys"),
        ("rules: [{broken: 1}]", 'the kind of rule "broken" of house-rules cannot be loaded: AttributeError'),
        ("rules: [{number: 1}]", "is neither a CustomRule nor a text: house_rules:NOT_A_RULE"),
        ("rules: [{evven: id}]", 'Did you mean "even"?'),
        ("packs: [lost]", 'the rule pack "lost" cannot be loaded: AttributeError'),
        ("packs: [huose]", 'Did you mean "house"?'),
    ],
)
def test_a_mistake_is_told_with_its_place(quality: str, told: str) -> None:
    with pytest.raises(ConfigError) as mistake:
        parse_pipeline(f"{PIPELINE}      {quality}\n", file="shop.yaml")
    assert told in str(mistake.value)
    assert "shop.yaml:10:" in str(mistake.value)
