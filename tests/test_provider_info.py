"""What Airflow is told of this package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from airflow_ingest.get_provider_info import get_provider_info


def test_it_fits_airflows_schema() -> None:
    import airflow
    import jsonschema  # type: ignore[import-untyped]

    schema = json.loads(Path(airflow.__path__[0], "provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)
    assert get_provider_info().keys() <= schema["properties"].keys()


def test_the_entry_point_leads_here_and_names_the_distribution() -> None:
    points = entry_points(group="apache_airflow_provider")
    found = [point for point in points if point.dist and point.dist.name == "airflow-ingest"]

    assert [point.load() for point in found] == [get_provider_info]
    assert get_provider_info()["package-name"] == "airflow-ingest"


def modules() -> Iterator[tuple[str, str]]:
    for kind in ("operators", "sensors", "hooks", "bundles", "triggers"):
        for entry in get_provider_info()[kind]:
            yield from ((kind, module) for module in entry["python-modules"])


@pytest.mark.parametrize(("kind", "module"), list(modules()), ids=lambda part: part.rpartition(".")[2])
def test_a_listed_module_exists(kind: str, module: str) -> None:
    assert import_module(module)


@pytest.mark.parametrize("kind", ["operators", "sensors", "hooks", "bundles", "triggers"])
def test_every_public_class_is_in_a_listed_module(kind: str) -> None:
    package = import_module(f"airflow_ingest.{kind}")

    homes = {getattr(package, name).__module__ for name in package.__all__}

    assert homes == {module for found, module in modules() if found == kind}


def test_the_command_exists() -> None:
    info: dict[str, Any] = get_provider_info()
    (path,) = info["cli"]
    module, _, name = path.rpartition(".")

    assert [command.name for command in getattr(import_module(module), name)()] == ["ingest"]
