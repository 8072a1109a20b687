"""The commands as a user calls them, in the folder of the test."""

from collections.abc import Mapping
from pathlib import Path

from typer.testing import CliRunner, Result

from airflow_ingest.cli.app import app


def invoke(*arguments: str, answer: str | None = None) -> Result:
    """`airflow-ingest` with these arguments, and an `answer` to what it asks."""
    return CliRunner().invoke(app, list(arguments), prog_name="airflow-ingest", input=answer)


def write_shop(pipeline: str, days: Mapping[str, str]) -> None:
    """The file of a pipeline `shop`, and what has landed on each of the `days` of January 2024."""
    Path("shop.yaml").write_text(pipeline)
    Path("landing").mkdir()
    for day, text in days.items():
        Path(f"landing/2024-01-{day}.csv").write_text(text)


def ids(table: str = "lake/silver/orders") -> list[int]:
    """The first column of a table of the lake in this folder, sorted."""
    from airflow_ingest.runtime import session

    with session() as spark:
        return sorted(row[0] for row in spark.read.format("delta").load(str(Path(table).absolute())).collect())
