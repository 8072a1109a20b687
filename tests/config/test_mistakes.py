"""Every bad configuration of mistakes.txt gives exactly the message that stands below it."""

import re
from pathlib import Path

import pytest

from airflow_ingest.config import ConfigError, parse_pipeline

Case = tuple[str, str, str]
EVERYTHING_SERVED = "(with everything served)"


def _cases() -> list[Case]:
    text = Path(__file__).with_name("mistakes.txt").read_text("utf-8")
    _, *blocks = re.split(r"^=== ", text, flags=re.M)
    cases = []
    for block in blocks:
        name, body = block.split("\n", 1)
        config, message = re.split(r"^---\n(?=p\.yaml:)", body, maxsplit=1, flags=re.M)
        cases.append((name, config, message.strip()))
    return cases


CASES = _cases()


@pytest.mark.parametrize(("name", "config", "message"), CASES, ids=[name for name, _, _ in CASES])
def test_message(name: str, config: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_pipeline(config, file="p.yaml", env={}, served=EVERYTHING_SERVED not in name)
    assert str(raised.value) == message


def test_the_table_of_mistakes_is_whole() -> None:
    assert len(CASES) >= 70
    assert len({name for name, _, _ in CASES}) == len(CASES)


def test_pydantic_yaml_sql_and_semantic_mistakes_come_at_once_in_the_files_order() -> None:
    config = """\
pipeline: other
lake: ./lake
lake: ./again
shedule: null
timezone: Mars
tables:
  t:
    source: {files: "${NOWHERE}/{{ ds }}.csv", format: cvs}
    wait: {timeout: 5}
    silver:
      columns: {id: integr, n: int}
      keys: [idd]
      transform: "mf"
    quality: {rules: [{expect: "n >"}, {nul_rate: {}}]}
gold:
  a: {sql: SELECT id FROM gold.a}
"""
    with pytest.raises(ConfigError) as raised:
        parse_pipeline(config, file="p.yaml", env={})
    mistakes = raised.value.mistakes
    assert [mistake.path for mistake in mistakes] == [
        "pipeline",
        "lake",
        "shedule",
        "timezone",
        "tables.t.source.files",
        "tables.t.source.format",
        "tables.t.wait.timeout",
        "tables.t.silver.columns.id",
        "tables.t.silver.keys[0]",
        "tables.t.silver.transform",
        "tables.t.quality.rules[0].expect",
        "tables.t.quality.rules[1]",
        "gold.a",
    ]
    assert [mistake.line for mistake in mistakes] == [1, 3, 4, 5, 8, 8, 9, 11, 12, 13, 14, 14, 16]
    assert all(mistake.file == "p.yaml" and mistake.column > 0 for mistake in mistakes)
