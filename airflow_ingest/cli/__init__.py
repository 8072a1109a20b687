"""The command line: the script `airflow-ingest`, and the same commands as `airflow ingest`."""

from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, *, program: str = "airflow-ingest") -> None:
    """Run the command line and exit with its code.

    `arguments` are those behind the program's name (default: `sys.argv`); `program` is the name that help texts show.
    """
    from airflow_ingest.cli.app import app

    app(args=arguments if arguments is None else list(arguments), prog_name=program)
