"""The commands of docs/dlq.md print what the page says."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.cli.commands import ids, invoke, write_shop

PAGE = (Path(__file__).parents[2] / "docs/dlq.md").read_text("utf-8")


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.S)
    assert found
    return found[1]


def lasting(text: str) -> str:
    """`text` without moments, the folder and the version of the rules, which differ from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<a moment>", text.strip())
    return re.sub(r"rules \w{16}", "rules <version>", re.sub(r"file:\S*/landing", "file:<landing>", text))


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_the_commands_print_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_shop(block("yaml"), {"01": block("csv")})
    (first,) = re.findall(r"after `airflow-ingest (run [^`]*)`", PAGE)
    assert invoke(*shlex.split(first)).exit_code == 0
    shown = re.findall(r"```console\n\$ airflow-ingest (.*?)\n(.*?)```", PAGE, re.S)
    assert {command.split()[1] for command, _ in shown} == {"list", "show", "replay", "discard"}
    for command, output in shown:
        assert lasting(invoke(*shlex.split(command)).stdout) == lasting(output), command
    assert ids() == [1, 2, 4]
