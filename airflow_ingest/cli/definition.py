"""`airflow ingest …`: what Airflow loads from this provider at every start of its own command line."""

import argparse

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand

__all__ = ["get_ingest_cli_commands"]


class _Everything(Arg):
    """Hands all that follows, options and --help included, to the Typer app: one definition serves both programs."""

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Leave `parser` no character that starts an option, so that it takes every word as it stands."""
        parser.prefix_chars = "\0"
        super().add_to_parser(parser)


def _run(namespace: argparse.Namespace) -> None:
    from airflow_ingest.cli import main

    main(namespace.arguments, program="airflow ingest")


def get_ingest_cli_commands() -> list[CLICommand]:
    """What the provider adds to `airflow`: the one command `ingest`, with the commands of `airflow-ingest` below it."""
    words = _Everything(("arguments",), nargs=argparse.REMAINDER)  # type: ignore[no-untyped-call]
    return [ActionCommand(name="ingest", help="Check, draw and run airflow-ingest pipelines", func=_run, args=(words,))]
