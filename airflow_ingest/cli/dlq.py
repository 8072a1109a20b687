"""`dlq`: the rejected rows of a pipeline, looked at, replayed and thrown away."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from airflow_ingest.cli.by_hand import gold_lines, refreshed, run_by_hand
from airflow_ingest.cli.console import notes, results
from airflow_ingest.cli.intervals import moment_of
from airflow_ingest.cli.lake import working
from airflow_ingest.cli.run import make_importable
from airflow_ingest.cli.tables import check_table
from airflow_ingest.config import IngestError, Pipeline, expression_problem, load_pipeline

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from airflow_ingest.lakehouse import Lake, Letters, LoadResult, ReplayResult

__all__ = ["Choice", "discard", "list_letters", "replay", "show_letter"]


@dataclass(frozen=True)
class Choice:
    """Which letters a user means, as it was typed."""

    rule: str | None = None
    since: str | None = None
    ids: Sequence[str] = ()

    def moment(self, zone: str) -> datetime | None:
        """`since` as a time. Raises IngestError if it is none, or lies ahead."""
        if self.since is None:
            return None
        moment = moment_of(self.since, zone)
        if moment is None:
            raise IngestError(
                f"--since {self.since!r} is not understood. Write a day (2013-01-05) or a time (2013-01-05T06:00)."
            )
        if moment > datetime.now(timezone.utc):
            raise IngestError(f"--since {self.since} lies ahead: no row was rejected since then.")
        return moment

    def letters(self, spark: "SparkSession", lake: "Lake", table: str, zone: str) -> "Letters":
        """The letters of a table that are meant. Raises LakehouseError for an id that none has."""
        from airflow_ingest.lakehouse import Letters, ids_of

        return Letters(self.rule, self.moment(zone), ids_of(spark, lake, table, self.ids))


def list_letters(
    file: Path, table: str | None, choice: Choice, *, status: str, limit: int, remote: str | None, as_json: bool
) -> int:
    """Print what the dead letters of each table say, or with a `table` the oldest of those chosen. Returns 0.

    Raises ConfigError, IngestError for an unknown table or a `since` that is none, RuntimeProblem for Spark.
    """
    from airflow_ingest.cli.letters_report import print_letters, print_summary
    from airflow_ingest.lakehouse import dead_letters_of, letters_by_rule

    pipeline = _pipeline(file, table)
    if table is None and (choice.rule or choice.since or choice.ids):
        raise IngestError(f"Name the table whose letters you mean: {', '.join(pipeline.tables)}.")
    choice.moment(pipeline.timezone)
    with working(pipeline, remote) as (spark, lake):
        if table is None:
            found = {
                name: letters_by_rule(spark, lake, name) for name in pipeline.tables if pipeline.tables[name].gated
            }
            if as_json:
                told = {name: [count.to_dict() for count in counts] for name, counts in found.items()}
                results().print(json.dumps(told, indent=2), markup=False)
            else:
                print_summary(pipeline, found)
            return 0
        letters = dead_letters_of(
            spark,
            lake,
            table,
            choice.letters(spark, lake, table, pipeline.timezone),
            status=None if status == "any" else status,
            limit=limit,
        )
    if as_json:
        results().print(json.dumps([letter.to_dict() for letter in letters], indent=2), markup=False)
    else:
        print_letters(table, letters, pipeline.timezone, limit)
    return 0


def show_letter(file: Path, table: str, letter: str, *, remote: str | None, as_json: bool) -> int:
    """Print all that is known of one dead letter, whose id begins with `letter`. Returns 0.

    Raises ConfigError, IngestError for an unknown table, LakehouseError for an unknown id, RuntimeProblem for Spark.
    """
    from airflow_ingest.cli.letters_report import print_letter
    from airflow_ingest.lakehouse import dead_letters_of

    pipeline = _pipeline(file, table)
    with working(pipeline, remote) as (spark, lake):
        chosen = Choice(ids=[letter]).letters(spark, lake, table, pipeline.timezone)
        (found,) = dead_letters_of(spark, lake, table, chosen, status=None, limit=1)
    if as_json:
        results().print(json.dumps(found.to_dict(), indent=2), markup=False)
    else:
        print_letter(found, pipeline.timezone)
    return 0


def discard(
    file: Path, table: str, choice: Choice, *, reason: str, remote: str | None, dry_run: bool, yes: bool
) -> int:
    """Close the open letters of a table that are chosen, for a `reason` that is kept. Returns 0.

    How many there are is shown, and asked about unless `yes`. Raises ConfigError, IngestError for an unknown table or
    no reason, LakehouseError for an unknown id, RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import count_letters, discard_letters

    pipeline = _pipeline(file, table)
    if not reason.strip() and not dry_run:
        raise IngestError(f"{table}: say why, for those who look at them later: --reason TEXT.")
    choice.moment(pipeline.timezone)
    with working(pipeline, remote) as (spark, lake):
        letters = choice.letters(spark, lake, table, pipeline.timezone)
        count = count_letters(spark, lake, table, letters)
        results().print(f"{count:,} open dead letters of {table} would be discarded")
        if dry_run or not count:
            return 0
        if not yes:
            typer.confirm("Discard them?", abort=True, err=True)
        done = discard_letters(spark, lake, table, run_by_hand(pipeline, "discard"), letters, reason=reason)
    results().print(f"{done:,} are discarded: they are replayed no more")
    return 0


def replay(
    file: Path,
    table: str,
    choice: Choice,
    *,
    fixes: Sequence[str],
    batch_size: int,
    limit: int | None,
    dry_run: bool,
    resume: str | None,
    remote: str | None,
    as_json: bool,
) -> int:
    """Replay the open letters of a table that are chosen, then refresh the gold that reads it.

    Returns 1 if a row was rejected again or a gold table failed, else 0. Raises ConfigError, IngestError for what was
    typed, LakehouseError for an unknown id or a table whose rows have no keys, RuntimeProblem for Spark.
    """
    from airflow_ingest.lakehouse import Letters, check_replayable, count_letters, replay_dlq

    pipeline = _pipeline(file, table)
    model = pipeline.tables[table]
    check_replayable(table, model)
    fix, since = _fix_of(fixes), choice.moment(pipeline.timezone)
    make_importable(file)
    run = run_by_hand(pipeline, "replay", resume)
    with working(pipeline, remote) as (spark, lake), notes().status(f"Replaying {table} …") as status:
        if resume and not count_letters(spark, lake, table, Letters(tried_by=resume), status=None):
            raise IngestError(f"--resume {resume}: no such replay has tried a letter of {table}. Leave it out.")

        def told(so_far: "ReplayResult") -> None:
            text = f"{table}: {so_far.tried:,} of {so_far.open:,} tried, {so_far.replayed:,} replayed"
            status.update(f"{text} …")
            if not notes().is_terminal:
                notes().print(text)

        try:
            found = replay_dlq(
                spark,
                lake,
                table,
                model,
                run,
                rule=choice.rule,
                since=since,
                ids=choice.ids,
                limit=limit,
                batch_size=batch_size,
                dry_run=dry_run,
                fix=fix,
                progress=told,
            )
        except KeyboardInterrupt:
            notes().print(
                f"What was tried is kept. To go on: the same command with --resume {run.run_id}", markup=False
            )
            raise
        status.update("Refreshing gold …")
        gold = {} if dry_run else refreshed(spark, lake, pipeline, table, run)  # one that died may have left it behind
    failed = [name for name, result in gold.items() if isinstance(result, str)]
    if as_json:
        shown = {name: {"error": each} if isinstance(each, str) else each.to_dict() for name, each in gold.items()}
        results().print(json.dumps({**found.to_dict(), "run_id": run.run_id, "gold": shown}, indent=2), markup=False)
    else:
        for line in _lines(found, gold):
            results().print(line, markup=False)
    return 1 if found.rejected or failed else 0


def _lines(found: "ReplayResult", gold: "dict[str, LoadResult | str]") -> Iterator[str]:
    would = "would be " if found.dry_run else ""
    if not found.open:
        yield f"no dead letter of {found.table} that is open was chosen"
    else:
        yield (
            f"{found.table}: {found.tried:,} of {found.open:,} dead letters tried, {found.replayed:,} {would}replayed, "
            f"{found.rejected:,} {would}rejected again"
        )
    yield from (f"  {count:,} by {rule}" for rule, count in sorted(found.reasons.items()))
    if found.waiting:
        yield f"  {found.waiting:,} more belong to batches that are held, or that silver has still to take"
    yield from gold_lines(gold)


def _fix_of(fixes: Sequence[str]) -> dict[str, str]:
    """`column=SQL` by column. Raises IngestError where something is wrong with one."""
    found: dict[str, str] = {}
    for text in fixes:
        column, is_set, sql = text.partition("=")
        if not is_set or not column.strip() or not sql.strip():
            raise IngestError(
                f"--fix {text!r} is not understood. Write COLUMN=SQL: --fix \"amount=replace(amount, ',', '')\"."
            )
        if problem := expression_problem(sql):
            raise IngestError(f"--fix {column.strip()}: {problem}")
        found[column.strip()] = sql
    return found


def _pipeline(file: Path, table: str | None) -> Pipeline:
    pipeline = load_pipeline(file)
    if table is not None:
        check_table(table, pipeline, lambda found: found.gated, "dead letters")
    return pipeline
