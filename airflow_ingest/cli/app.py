"""The commands and their options. Each imports what it needs when it runs, so that the others start at once."""

from pathlib import Path
from typing import Annotated

import typer

from airflow_ingest.cli.dlq_app import dlq_app
from airflow_ingest.cli.group import IngestGroup
from airflow_ingest.cli.options import AsJson, PipelineFile, Reason, Remote
from airflow_ingest.cli.starter import Format

__all__ = ["app"]

app = typer.Typer(
    cls=IngestGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="One YAML file runs as a medallion pipeline on Spark and Delta Lake.",
)
spark_app = typer.Typer(no_args_is_help=True, help="The Spark server on this machine that all tasks share.")
app.add_typer(spark_app, name="spark")
app.add_typer(dlq_app, name="dlq")


LoadedTable = Annotated[str, typer.Argument(metavar="TABLE", help="The table: orders.")]
HeldBatch = Annotated[
    str | None, typer.Argument(metavar="BATCH", help="The batch's id; left out: those that are held are listed.")
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from airflow_ingest import __version__

        typer.echo(f"airflow-ingest {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that stand before the command."""


@app.command()
def validate(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", exists=True, help="Pipeline files, or folders that hold them.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the mistakes as JSON.")] = False,
) -> None:
    """Check pipeline files and show every mistake with its place. Exits with 1 if there is one."""
    from airflow_ingest.cli.validate import validate_paths

    raise typer.Exit(validate_paths(paths, as_json=as_json))


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", dir_okay=False, help="Write to this file instead of stdout.")
    ] = None,
) -> None:
    """Print the JSON Schema of pipeline files, for editors that complete and check YAML."""
    import json

    from airflow_ingest.config import json_schema

    text = json.dumps(json_schema(), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


@app.command()
def graph(
    file: PipelineFile,
    as_json: Annotated[bool, typer.Option("--json", help="Print the compiled graph as JSON.")] = False,
) -> None:
    """Draw the steps that a pipeline compiles to."""
    from airflow_ingest.cli.drawing import draw

    draw(file, as_json=as_json)


@app.command()
def run(
    file: PipelineFile,
    interval: Annotated[
        str,
        typer.Option(
            "--interval",
            "-i",
            metavar="WHEN",
            help="The data intervals to load: a day (2013-01-05), days (2013-01-01..2013-01-07) or the start of one "
            "interval (2013-01-05T06:00), in the pipeline's timezone and on its schedule.",
        ),
    ],
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="NAME", help="Run this table or gold table alone. Can be repeated."),
    ] = None,
    remote: Remote = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Run as the schedule does: take every pending batch, load full tables."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a step that fails.")] = False,
) -> None:
    """Run a pipeline's steps here, without a scheduler, for one or several data intervals.

    It loads what a backfill of the same days would load, or with --live what the schedule's own run would, and does not
    wait for files that are missing. Exits with 1 if a step failed or a batch is held; tables that do not depend on it
    are loaded all the same.
    """
    from airflow_ingest.cli.warm_up import import_spark_meanwhile

    import_spark_meanwhile()
    from airflow_ingest.cli.run import run_pipeline

    raise typer.Exit(run_pipeline(file, interval, tables or [], remote=remote, live=live, as_json=as_json, debug=debug))


@app.command()
def plan(
    file: PipelineFile,
    interval: Annotated[
        str,
        typer.Option(
            "--interval",
            "-i",
            metavar="WHEN",
            help="The data interval: a day (2013-01-05), or the start of one (2013-01-05T06:00).",
        ),
    ],
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="NAME", help="Plan this table or gold table alone. Can be repeated."),
    ] = None,
    remote: Remote = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Show what `run` would read, reject and write for one data interval, with the SQL, and write nothing.

    Exits with 1 if a table would fail or its batch be held.
    """
    from airflow_ingest.cli.warm_up import import_spark_meanwhile

    import_spark_meanwhile()
    from airflow_ingest.cli.plan import plan_pipeline

    raise typer.Exit(plan_pipeline(file, interval, tables or [], remote=remote, as_json=as_json))


@app.command()
def status(
    file: PipelineFile,
    remote: Remote = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
    history: Annotated[
        int | None, typer.Option("--history", min=1, metavar="N", help="Show what the last N runs did instead.")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", "-t", metavar="NAME", help="With --history: of this table alone.")
    ] = None,
) -> None:
    """Show how far every table has got: watermarks, last loads, waiting batches, open dead letters and gaps.

    With --history: when each run was, what it read, wrote and rejected, and what went wrong.
    """
    from airflow_ingest.cli.warm_up import import_spark_meanwhile

    import_spark_meanwhile()
    from airflow_ingest.cli.history import show_history
    from airflow_ingest.cli.status import show_status

    if history is None:
        raise typer.Exit(show_status(file, remote=remote, as_json=as_json))
    raise typer.Exit(show_history(file, table, history, remote=remote, as_json=as_json))


@app.command()
def quality(
    file: PipelineFile,
    table: Annotated[
        str | None, typer.Argument(metavar="TABLE", help="A table or gold table; left out: all of them.")
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, metavar="N", help="Look at so many batches of each rule.")] = 30,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="PATH", dir_okay=False, help="Write a page with charts there, one file."),
    ] = None,
    remote: Remote = None,
    as_json: AsJson = False,
) -> None:
    """Show how the rules came out on the newest batches, with the trend of what they found.

    Exits with 1 if the newest batch breaks a rule of severity error.
    """
    from airflow_ingest.cli.quality import show_quality

    raise typer.Exit(show_quality(file, table, runs=runs, html=html, remote=remote, as_json=as_json))


@app.command()
def circuit(
    file: PipelineFile,
    reset: Annotated[bool, typer.Option("--reset", help="Close it: what went wrong before counts no more.")] = False,
    reason: Reason = "",
    remote: Remote = None,
    as_json: AsJson = False,
) -> None:
    """Show whether the pipeline's circuit breaker lets its runs through, and why not; or close it."""
    from airflow_ingest.cli.circuit import show_circuit

    raise typer.Exit(show_circuit(file, reset=reset, reason=reason, remote=remote, as_json=as_json))


@app.command()
def profile(
    file: PipelineFile,
    table: Annotated[
        str | None,
        typer.Argument(metavar="TABLE", help="A table such as silver.orders; left out: every one in silver and gold."),
    ] = None,
    version: Annotated[
        int | None, typer.Option("--version", metavar="N", help="The table's version to look at, not the newest one.")
    ] = None,
    all_columns: Annotated[
        bool, typer.Option("--all-columns", help="Measure the columns too that loads add, such as _batch_id.")
    ] = False,
    remote: Remote = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the profiles as JSON.")] = False,
) -> None:
    """Show what the columns of published tables hold, and what changed since the profile before.

    Each profile is kept in the lake's ops/profiles; nothing else is written. Exits with 1 if a table could not be
    profiled.
    """
    from airflow_ingest.cli.warm_up import import_spark_meanwhile

    import_spark_meanwhile()
    from airflow_ingest.cli.profile import profile_tables

    raise typer.Exit(
        profile_tables(file, table, version=version, all_columns=all_columns, remote=remote, as_json=as_json)
    )


@app.command()
def maintain(
    file: PipelineFile,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            "-t",
            metavar="NAME",
            help="Look after this table alone: orders (in every layer) or silver.orders. Can be repeated.",
        ),
    ] = None,
    remote: Remote = None,
    retain: Annotated[
        str | None,
        typer.Option(
            metavar="DURATION",
            help="How long files that only older versions need are kept: 30d. Seven days at least, and by itself.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Give tables files of a good size, sorted or clustered as configured, and remove files of the past.

    No row changes, and loads go first. Small tables, and those that nothing changed since, are left alone. Exits with 1
    if a table went wrong.
    """
    from airflow_ingest.cli.warm_up import import_spark_meanwhile

    import_spark_meanwhile()
    from airflow_ingest.cli.maintain import maintain_pipeline

    code = maintain_pipeline(file, tables or [], remote=remote, retain=retain, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def restore(
    file: PipelineFile,
    table: Annotated[str, typer.Argument(help="The table, by its layer and name: silver.orders.")],
    to: Annotated[
        str,
        typer.Option(
            metavar="VERSION|TIME",
            help="The version to go back to (12), or the newest of a time: 2013-01-05, 2013-01-05T06:00.",
        ),
    ],
    remote: Remote = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be undone, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Take one table back to an earlier version: show what is undone and what the next run does, ask, and do it."""
    from airflow_ingest.cli.warm_up import import_spark_meanwhile

    import_spark_meanwhile()
    from airflow_ingest.cli.restore import restore_version

    raise typer.Exit(restore_version(file, table, to, remote=remote, dry_run=dry_run, yes=yes))


@app.command()
def release(
    file: PipelineFile,
    table: LoadedTable,
    batch: HeldBatch = None,
    reason: Reason = "",
    remote: Remote = None,
) -> None:
    """Let a batch through that the gate has held: it goes into silver now, whatever its rules say, and gold follows."""
    from airflow_ingest.cli.release import decide

    raise typer.Exit(decide(file, table, batch, "released", reason=reason, remote=remote))


@app.command()
def discard(
    file: PipelineFile,
    table: LoadedTable,
    batch: HeldBatch = None,
    reason: Reason = "",
    remote: Remote = None,
) -> None:
    """Throw a batch away that the gate has held: no run merges it. Its rows stay in bronze."""
    from airflow_ingest.cli.release import decide

    raise typer.Exit(decide(file, table, batch, "discarded", reason=reason, remote=remote))


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="The pipeline's name, which becomes the file's name and the DAG's id.")],
    file_format: Annotated[Format, typer.Option("--format", help="What the source files are.")] = Format.CSV,
    directory: Annotated[
        Path, typer.Option("--directory", "-d", file_okay=False, help="Where to write it: your dags folder, say.")
    ] = Path(),
) -> None:
    """Write a commented starter pipeline. Never overwrites a file."""
    from airflow_ingest.cli.new import write_starter

    write_starter(name, file_format, directory)


@app.command()
def doctor() -> None:
    """Check that this machine has what a run needs, and say how to get what is missing."""
    from airflow_ingest.cli.doctor import examine

    raise typer.Exit(examine())


@spark_app.command("status")
def spark_status() -> None:
    """Show the server's address, age and memory. Exits with 1 if none runs."""
    from airflow_ingest.cli.spark import status

    raise typer.Exit(status())


@spark_app.command("start")
def spark_start() -> None:
    """Start the server, or find the one that runs."""
    from airflow_ingest.cli.spark import start

    start()


@spark_app.command("stop")
def spark_stop() -> None:
    """Stop the server. The next task starts another one."""
    from airflow_ingest.cli.spark import stop

    stop()
