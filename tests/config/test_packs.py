"""Rules that tables share by name."""

from __future__ import annotations

import pytest

from airflow_ingest.config import ConfigError, Pipeline, parse_pipeline

SHOP = """\
pipeline: shop
schedule: "@daily"
start_date: 2026-01-01
lake: /lake
rule_packs:
  money:
    - {name: positive, expect: "amount > 0"}
    - {null_rate: {column: amount, max: 1%}}
  any: [{row_count: {min: 1}}]
"""
ORDERS = """\
tables:
  orders:
    source: {files: "/in/{{ ds }}.csv", format: csv}
    silver: {columns: {id: int, amount: int}, keys: [id]}
"""
GOLD = "gold: {total: {sql: SELECT sum(amount) AS amount FROM silver.orders, load: overwrite, quality: {packs: [any]}}}"


def shop(*parts: str) -> Pipeline:
    return parse_pipeline("\n".join([SHOP, *parts]), file="shop.yaml")


def names(pipeline: Pipeline) -> list[str]:
    return [rule.name for rule in pipeline.tables["orders"].quality.rules]


def test_a_table_has_the_rules_of_its_packs_and_then_its_own() -> None:
    pipeline = shop(ORDERS, "    quality: {packs: [any, money], rules: [{unique: [id]}]}")
    assert names(pipeline) == ["row_count", "positive", "null_rate(amount)", "unique(id)"]


def test_packs_come_by_defaults_and_serve_gold() -> None:
    pipeline = shop("defaults: {quality: {packs: [any]}}", ORDERS, GOLD)
    assert names(pipeline) == ["row_count"]
    assert [rule.name for rule in pipeline.gold["total"].quality.rules] == ["row_count"]


def test_a_rule_of_the_table_takes_the_place_of_one_with_its_name() -> None:
    own = '{name: positive, expect: "amount > 9", severity: info}'
    pipeline = shop(ORDERS, f"    quality: {{packs: [money], rules: [{own}]}}")
    assert names(pipeline) == ["null_rate(amount)", "positive"]
    assert pipeline.tables["orders"].quality.rules[1].severity == "info"


def test_a_pack_that_does_not_fit_is_told_where_it_is_written() -> None:
    orders = ORDERS.replace("amount: int", "price: int")
    with pytest.raises(ConfigError) as mistake:
        shop(orders, "    quality: {packs: [money], rules: [{range: {column: pric, min: 0}}]}")
    told = str(mistake.value)
    assert 'shop.yaml:7:33: rule_packs.money[0].expect: there is no column "amount" in silver.orders' in told
    assert 'shop.yaml:8:28: rule_packs.money[1].null_rate.column: there is no column "amount" in silver.orders' in told
    assert 'tables.orders.quality.rules[0].range.column: there is no column "pric" in silver.orders' in told


def test_a_pack_that_no_table_names_is_checked_too() -> None:
    with pytest.raises(ConfigError, match=r"rule_packs\.any\[0\]: .*min 3 .* max 1|rule_packs.any\[0\].row_count"):
        parse_pipeline("\n".join([SHOP.replace("{min: 1}", "{min: 3, max: 1}"), ORDERS]), file="shop.yaml")
