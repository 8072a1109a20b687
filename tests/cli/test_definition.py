"""`airflow ingest …` hands everything to the same app."""

import argparse
import subprocess
import sys

import pytest

from airflow_ingest.cli.definition import get_ingest_cli_commands

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def parser() -> argparse.ArgumentParser:
    from airflow.cli.cli_config import DefaultHelpParser
    from airflow.cli.cli_parser import AirflowHelpFormatter, _add_command

    parser = DefaultHelpParser(prog="airflow", formatter_class=AirflowHelpFormatter)
    subparsers = parser.add_subparsers(dest="subcommand")
    for command in get_ingest_cli_commands():
        _add_command(subparsers, command)
    return parser


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["run", "--help"],
        ["run", "--interval", "2013-01-01", "flights.yaml"],
        ["--debug", "spark", "status"],
        ["run", "-t", "a", "-t", "b", "--", "-odd.yaml"],
        ["validate", "a.yaml", "-h"],
    ],
    ids=" ".join,
)
def test_every_word_reaches_the_app_as_it_was_typed(parser: argparse.ArgumentParser, words: list[str]) -> None:
    assert parser.parse_args(["ingest", *words]).arguments == words


def test_the_app_runs_under_airflows_name(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    arguments = parser.parse_args(["ingest", "run", "--help"])
    with pytest.raises(SystemExit) as caught:
        arguments.func(arguments)
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert "Usage: airflow ingest run" in shown
    assert "--interval" in shown


def test_an_exit_code_is_airflows_exit_code(parser: argparse.ArgumentParser) -> None:
    arguments = parser.parse_args(["ingest", "validate"])
    with pytest.raises(SystemExit) as caught:
        arguments.func(arguments)
    assert caught.value.code == 2


def test_what_airflow_loads_at_each_start_imports_nothing_of_the_app() -> None:
    program = (
        "import sys, airflow.cli.cli_config\nbefore = set(sys.modules)\n"
        "from airflow_ingest.cli.definition import get_ingest_cli_commands\nget_ingest_cli_commands()\n"
        "print(sorted(set(sys.modules) - before - {'airflow_ingest'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "['airflow_ingest.cli', 'airflow_ingest.cli.definition']"
