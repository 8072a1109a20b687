"""The form of a pipeline's DAG, and the DAG's schedule by other tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from airflow_ingest.config import ConfigError
from tests.factory.conftest import small

if TYPE_CHECKING:
    from airflow.sdk import DAG

Build = Callable[..., "DAG"]


def test_the_form_has_what_the_pipeline_can_do(build: Build) -> None:
    dag = build(small())
    more = build(
        small()
        .replace("{{ ds }}", "*")
        .replace("    wait:", "    extract: {mode: incremental}\n    wait:")
        .replace("gold:", "dag: {params: {colour: red}}\ngold:")
    )

    assert list(dag.params) == ["interval_from", "interval_to", "tables"]
    assert dag.params.get_param("tables").schema["items"]["enum"] == ["orders", "raw"]
    assert list(more.params) == ["interval_from", "interval_to", "tables", "full_refresh", "colour"]
    assert {getattr(task, "chosen_as", None) for task in more.tasks} == {"orders", "raw", ""}


def test_a_param_of_the_forms_name_is_refused(build: Build) -> None:
    with pytest.raises(ConfigError, match=r"shop.yaml:21:16: dag.params.tables: tables is in the form already"):
        build(small(extra="dag: {params: {tables: []}}\n"))


@pytest.mark.parametrize(
    ("assets", "expected"),
    [
        ("[a.silver.x]", {"asset_all": ["a.silver.x"]}),
        ("[a.silver.x, b.gold.y]", {"asset_all": ["a.silver.x", "b.gold.y"]}),
        ("{any: [a.silver.x, {all: [b.gold.y, z]}]}", {"asset_any": ["a.silver.x", {"asset_all": ["b.gold.y", "z"]}]}),
    ],
    ids=["one", "all", "nested"],
)
def test_a_schedule_by_assets(build: Build, assets: str, expected: object) -> None:
    from airflow.sdk import Asset, AssetAny

    def shown(condition: object) -> object:
        if isinstance(condition, Asset):
            return condition.name
        kind = "asset_any" if isinstance(condition, AssetAny) else "asset_all"
        return {kind: [shown(one) for one in condition.objects]}  # type: ignore[attr-defined]

    dag = build(small().replace('schedule: "@daily"', f"schedule: {{assets: {assets}}}"))

    assert shown(dag.schedule) == expected
