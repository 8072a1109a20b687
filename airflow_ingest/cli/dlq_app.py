"""`dlq` and the options of its commands."""

from enum import Enum
from typing import Annotated

import typer

from airflow_ingest.cli.options import AsJson, PipelineFile, Reason, Remote

__all__ = ["dlq_app"]

dlq_app = typer.Typer(no_args_is_help=True, help="The rows that were rejected: look at them, replay or discard them.")


class LetterStatus(str, Enum):
    """What `dlq list` shows."""

    OPEN = "open"
    REPLAYED = "replayed"
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"
    ANY = "any"


DeadLetterTable = Annotated[str, typer.Argument(metavar="TABLE", help="The table: orders.")]
LetterRule = Annotated[
    str | None,
    typer.Option("--rule", metavar="NAME", help="Only rows that this rule rejected: positive, cast, malformed."),
]
LetterSince = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="Only rows rejected since: 2013-01-05, 2013-01-05T06:00.")
]
LetterIds = Annotated[
    list[str] | None,
    typer.Option("--id", metavar="ID", help="Only this one, by the beginning of its id. Can be repeated."),
]


@dlq_app.command("list")
def dlq_list(
    file: PipelineFile,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="Show its letters; left out: how many each table has.")
    ] = None,
    rule: LetterRule = None,
    since: LetterSince = None,
    ids: LetterIds = None,
    status: Annotated[LetterStatus, typer.Option("--status", help="Letters in this status.")] = LetterStatus.OPEN,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many, the oldest.")] = 20,
    remote: Remote = None,
    as_json: AsJson = False,
) -> None:
    """Show how many rows each rule has rejected, or the rejected rows of one table."""
    from airflow_ingest.cli.dlq import Choice, list_letters

    choice = Choice(rule, since, ids or [])
    code = list_letters(file, table, choice, status=status.value, limit=limit, remote=remote, as_json=as_json)
    raise typer.Exit(code)


@dlq_app.command("show")
def dlq_show(
    file: PipelineFile,
    table: DeadLetterTable,
    letter: Annotated[str, typer.Argument(metavar="ID", help="The letter's id, or its beginning.")],
    remote: Remote = None,
    as_json: AsJson = False,
) -> None:
    """Show one rejected row: as it came, why it was rejected, and what became of it."""
    from airflow_ingest.cli.dlq import show_letter

    raise typer.Exit(show_letter(file, table, letter, remote=remote, as_json=as_json))


@dlq_app.command("replay")
def dlq_replay(
    file: PipelineFile,
    table: DeadLetterTable,
    rule: LetterRule = None,
    since: LetterSince = None,
    ids: LetterIds = None,
    fix: Annotated[
        list[str] | None,
        typer.Option(
            "--fix",
            metavar="COLUMN=SQL",
            help="Replace a column of the rows, as they arrived, by a SQL expression first. Can be repeated.",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, metavar="N", help="How many rows go into silver in one commit.")
    ] = 10_000,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="At most so many, the oldest.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would happen, and change nothing.")] = False,
    resume: Annotated[
        str | None, typer.Option("--resume", metavar="RUN", help="Go on with the replay that was stopped.")
    ] = None,
    remote: Remote = None,
    as_json: AsJson = False,
) -> None:
    """Put rejected rows through today's configuration again; those that pass go into silver, and gold follows.

    Exits with 1 if a row was rejected again. Nothing is lost when it is stopped: what was tried is kept.
    """
    from airflow_ingest.cli.dlq import Choice, replay

    code = replay(
        file,
        table,
        Choice(rule, since, ids or []),
        fixes=fix or [],
        batch_size=batch_size,
        limit=limit,
        dry_run=dry_run,
        resume=resume,
        remote=remote,
        as_json=as_json,
    )
    raise typer.Exit(code)


@dlq_app.command("discard")
def dlq_discard(
    file: PipelineFile,
    table: DeadLetterTable,
    rule: LetterRule = None,
    since: LetterSince = None,
    ids: LetterIds = None,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how many, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    remote: Remote = None,
) -> None:
    """Throw rejected rows away, for a reason that is kept: they are replayed no more."""
    from airflow_ingest.cli.dlq import Choice, discard

    choice = Choice(rule, since, ids or [])
    raise typer.Exit(discard(file, table, choice, reason=reason, remote=remote, dry_run=dry_run, yes=yes))
