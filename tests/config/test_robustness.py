"""Whatever stands where, the answer is a pipeline or a list of mistakes, never another error."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_ingest.config import ConfigError, Mistake, parse_pipeline, parse_table

EXAMPLE = (Path(__file__).parents[1] / "data/design_example.yaml").read_text("utf-8")
ODD: list[Any] = [None, True, 5, "", "${", "{{", ["a", "a"], {"a": {"b": []}}, [[{}]]]


def _paths(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from _paths(child, (*path, key))


def _check(text: str, *, served: bool) -> None:
    mistakes: tuple[Mistake, ...] = ()
    try:
        parse_pipeline(text, file="flights.yaml", env={}, served=served)
    except ConfigError as error:
        mistakes = error.mistakes
    assert all(mistake.line >= 1 and mistake.column >= 1 and mistake.problem for mistake in mistakes)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_an_odd_value_anywhere(odd: Any) -> None:
    data = yaml.safe_load(EXAMPLE)
    for number, path in enumerate(_paths(data)):
        changed = copy.deepcopy(data)
        parent = changed
        for step in path[:-1]:
            parent = parent[step]
        parent[path[-1]] = odd
        _check(json.dumps(changed, default=str), served=number % 2 == 0)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_file_that_breaks_off_or_has_a_stray_character(data: st.DataObject) -> None:
    place = data.draw(st.integers(min_value=0, max_value=len(EXAMPLE)))
    stray = data.draw(
        st.sampled_from(["", "\t", "{", "]", "'", '"', ":", "- ", "&a ", "*a", "<<: ", "\x00", "\ud83d", "%", "|", "é"])
    )
    cut = data.draw(st.booleans())
    _check(EXAMPLE[:place] + stray + ("" if cut else EXAMPLE[place:]), served=False)


def test_a_block_that_ends_with_its_bar() -> None:
    _check(EXAMPLE[: EXAMPLE.index("sql: |") + len("sql: |")], served=False)


@pytest.mark.parametrize("levels", [200, 100_000])
@pytest.mark.parametrize(
    ("text", "opening", "closing"),
    [("dag: {}", "[", "]"), ("dag: {}", "{a: ", "}"), ("tables: {{t: {{silver: {{where: '{}'}}}}}}", "(", ")")],
    ids=["lists", "mappings", "SQL"],
)
def test_what_is_nested_beyond_reason(text: str, opening: str, closing: str, levels: int) -> None:
    _check(text.format(opening * levels + "a" + closing * levels), served=False)


def test_a_type_nested_beyond_reason() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_table({"source": {}, "silver": {"columns": {"a": "array<" * 5000 + "int" + ">" * 5000}}})
