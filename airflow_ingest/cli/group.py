"""How every command ends: mistakes as a clean message and exit code 1, Ctrl-C as 130, only a defect as a traceback."""

import sys
from typing import Any

import typer
from typer.core import TyperGroup

__all__ = ["IngestGroup", "is_own"]


class IngestGroup(TyperGroup):
    """The root of the command line."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; raises typer.Exit instead of the package's own errors, unless --debug is given."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("\nInterrupted.", err=True)
            raise typer.Exit(130) from None
        except Exception as error:
            if ctx.params.get("debug") or not is_own(error):
                raise
            typer.secho(str(error), err=True, fg="red")
            raise typer.Exit(1) from None


def is_own(error: BaseException) -> bool:
    """Whether this is an IngestError, which speaks for itself. It cannot be one before its module is loaded."""
    errors = sys.modules.get("airflow_ingest.config.errors")
    return errors is not None and isinstance(error, errors.IngestError)
