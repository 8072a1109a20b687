"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "PipelineFile", "Reason", "Remote"]

PipelineFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="A pipeline's YAML file.")
]

Remote = Annotated[
    str | None,
    typer.Option(metavar="URL", envvar="SPARK_REMOTE", help="Run on this Spark Connect server: sc://host:port."),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; it is kept with the decision.")]
