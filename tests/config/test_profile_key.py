"""`profile: true` asks for a step and changes nothing else; `mask` says what a profile must not show."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_ingest.config import ConfigError, Pipeline, parse_gold, parse_pipeline, parse_table

SOURCE = {"files": "a.csv", "format": "csv"}
MASKED = """\
pipeline: shop
lake: ./lake
tables:
  people:
    source: {files: a.csv, format: csv}
    silver: {columns: {id: int, email: {type: string, mask: sha256}, phone: {mask: redact}}, keys: [id]}
  orders:
    source: {files: b.csv, format: csv}
    silver: {columns: {id: int, card: {type: string, mask: partial}}, keys: [id]}
  raw: {source: {files: c.csv, format: csv}}
gold:
  both: {sql: "SELECT email, card FROM silver.people JOIN silver.orders USING (id)"}
"""


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return parse_pipeline(MASKED, file="shop.yaml", served=False)


@pytest.mark.parametrize(
    ("table", "masked"),
    [("silver.people", ("email", "phone")), ("silver.orders", ("card",)), ("gold.both", ("email", "phone", "card"))],
)
def test_a_table_masks_its_own_columns_and_gold_those_of_all(
    pipeline: Pipeline, table: str, masked: tuple[str, ...]
) -> None:
    assert pipeline.masked(table) == masked


def test_tables_are_not_profiled_unless_asked() -> None:
    silver = parse_table({"source": SOURCE, "silver": {"keys": ["id"]}}).silver
    assert silver is not None
    assert silver.profile is False
    assert parse_gold({"sql": "SELECT 1 AS n FROM silver.t"}).profile is False


@pytest.mark.parametrize("value", ["often", 7, []])
def test_it_is_true_or_false(value: Any) -> None:
    with pytest.raises(ConfigError, match="profile"):
        parse_table({"source": SOURCE, "silver": {"keys": ["id"], "profile": value}})
    with pytest.raises(ConfigError, match="profile"):
        parse_gold({"sql": "SELECT 1 AS n FROM silver.t", "profile": value})


def test_a_profile_makes_no_other_table_of_it() -> None:
    """Neither is gold computed anew nor the gate's judgement void because somebody asks for profiles."""
    from airflow_ingest.lakehouse.gold.news import query_version
    from airflow_ingest.lakehouse.quality.gate import rule_version

    gold = {"sql": "SELECT 1 AS n FROM silver.t"}
    assert query_version(parse_gold({**gold, "profile": True})) == query_version(parse_gold(gold))
    assert query_version(parse_gold({**gold, "load": "overwrite", "partition_by": ["n"]})) != query_version(
        parse_gold(gold)
    )
    with_profile, without = (
        parse_table({"source": SOURCE, "silver": {"keys": ["id"], **more}}) for more in ({"profile": True}, {})
    )
    assert rule_version(with_profile) == rule_version(without)
