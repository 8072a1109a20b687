"""The models describe themselves: the schema for editors, the reference page, the package's public names."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

import airflow_ingest.config
from airflow_ingest.config import json_schema, reference_page

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests/data/design_example.yaml"


def test_the_reference_page_is_up_to_date() -> None:
    how = "Write it again: python -c 'import airflow_ingest.config as c; print(c.reference_page(), end=\"\")'"
    assert (ROOT / "docs/configuration.md").read_text("utf-8") == reference_page(), f"{how} > docs/configuration.md"


def _keys(node: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    if isinstance(node, list):
        return [found for item in node for found in _keys(item, path)]
    if not isinstance(node, dict):
        return []
    own = [(f"{path}.{key}", value) for key, value in node.get("properties", {}).items()]
    return own + [found for key, value in node.items() for found in _keys(value, f"{path}/{key}")]


def test_every_key_of_the_schema_is_described() -> None:
    keys = _keys(json_schema())
    assert len(keys) > 100
    assert [path for path, schema in keys if not schema.get("description")] == []


def _valid(data: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(json_schema()).is_valid(json.loads(json.dumps(data, default=str))))


def test_the_schema_takes_the_designs_example() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert _valid(yaml.safe_load(EXAMPLE.read_text("utf-8")))


@pytest.mark.parametrize(
    "table",
    [
        {"source": {"files": "a", "format": "csv"}, "colour": 1},
        {"source": {"files": "a", "format": "cvs"}},
        {"source": {}, "wait": {"timeout": 5}},
        {"source": {}, "silver": {"columns": {"*": "drop"}}},
        {"source": {}, "quality": {"rules": [{"nul_rate": {"column": "a", "max": 0.1}}]}},
        {"source": {}, "quality": {"max_reject_rate": "few"}},
        {},
    ],
    ids=["unknown key", "unknown word", "no duration", "star", "unknown rule", "no rate", "no source"],
)
def test_the_schema_refuses_what_the_language_refuses(table: dict[str, Any]) -> None:
    assert not _valid({"pipeline": "p", "lake": "l", "tables": {"t": table}})


def test_defaults_may_leave_out_what_a_table_needs() -> None:
    source = {"files": "a", "format": "csv"}
    pipeline = {"pipeline": "p", "lake": "l", "tables": {"t": {"source": source}}}
    assert _valid({**pipeline, "defaults": {"quality": {"max_reject_rate": "5%"}}})
    assert not _valid({**pipeline, "defaults": {"qualty": {}}})


def test_public_names_are_sorted_and_there() -> None:
    names = airflow_ingest.config.__all__
    assert names == sorted(names)
    assert all(hasattr(airflow_ingest.config, name) for name in names)


def test_importing_and_parsing_without_sql_loads_nothing_heavy() -> None:
    code = """
import sys
from airflow_ingest.config import parse_pipeline
text = "pipeline: p\\nlake: l\\ntables: {t: {source: {files: a, format: csv}, silver: {keys: [id], where: id > 0}}}"
parse_pipeline(text, file="p.yaml", env={})
heavy = "airflow pyspark sqlglot pandas jinja2 pendulum croniter".split()
print([name for name in heavy if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
