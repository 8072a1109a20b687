"""From the source's columns to silver's: expressions, types, and a reason for every value that gets lost."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config import Column, Silver
from airflow_ingest.lakehouse.errors import SchemaMismatch
from airflow_ingest.lakehouse.expressions import losses, source_columns
from airflow_ingest.lakehouse.fitting import RESCUED, Fit, Fitting
from airflow_ingest.lakehouse.silver.lookups import found
from airflow_ingest.lakehouse.sql import literal, quote
from airflow_ingest.lakehouse.tables import CHANGE_COLUMNS

_WHOLE = ("int", "integer", "bigint", "long", "smallint", "short", "tinyint", "byte")


@dataclass(frozen=True)
class Check:
    """A reason to reject a row: the rule that it breaks, the column concerned, when, and what to say (both SQL)."""

    rule: str
    column: str | None
    condition: str
    message: str


@dataclass(frozen=True)
class Projected:
    """One column of silver: its name, its SQL over the source's columns, the checks on its value.

    What is `looked_up` has its SQL over what was found. `wanted` is a type that `in_types` has still to give it.
    """

    name: str
    sql: str
    checks: tuple[Check, ...] = ()
    looked_up: bool = False
    wanted: str | None = None

    def fitted(self, fit: Fit) -> Projected:
        """The column with values of the type that is wanted, and the check that nothing is lost by it."""
        told = f"concat('not a value of type ', {literal(self.wanted)}, ': ', left(cast({self.sql} AS STRING), 100))"
        check = Check("cast", self.name, fit.lost, told)
        return replace(self, sql=fit.value, checks=(*self.checks, check), wanted=None)


def project(silver: Silver, available: Sequence[str]) -> list[Projected]:
    """Silver's columns in their order, from a source that has the columns `available`.

    What a change feed says of a row, and what bronze rescued of it, is there for silver to read, and gets there only
    where a column asks for it.
    """
    available = [name for name in available if name not in (*CHANGE_COLUMNS, RESCUED)]
    if silver.columns is None:
        return [Projected(name, quote(name)) for name in available]
    named = [_column(name, column) for name, column in silver.columns.items()]
    if not silver.keep_others:
        return named
    used = {name.casefold() for column in silver.columns.items() for name in _taken(*column)}
    return named + [Projected(name, quote(name)) for name in available if name.casefold() not in used]


def _taken(name: str, column: Column) -> set[str]:
    """What `column` takes of the source, and its own name: what nothing else passes on."""
    sources = source_columns(column.expr) if column.expr is not None else {column.from_ or name}
    return {name} if column.lookup is not None else {name, *sources}


def lost_in(expression: str | None, column: str | None = None) -> tuple[Check, ...]:
    """The checks that no value gets lost in `expression`, which makes `column` if any."""
    found = losses(expression) if expression is not None else ()
    return tuple(Check("cast", column, loss.condition, literal(f"no value for {loss.sql}")) for loss in found)


def needed_columns(silver: Silver) -> dict[str, str]:
    """The source's columns that silver reads, each with the key of the configuration that reads it."""
    needed: dict[str, str] = {}
    for name, column in (silver.columns or {}).items():
        if column.lookup is not None:
            continue
        if column.expr is not None:
            for source in sorted(source_columns(column.expr)):
                needed.setdefault(source, f"silver.columns.{name}")
        else:
            needed.setdefault(column.from_ or name, f"silver.columns.{name}")
    for source in sorted(source_columns(silver.where)) if silver.where else ():
        needed.setdefault(source, "silver.where")
    for name in silver.keys if silver.columns is None else ():
        needed.setdefault(name, "silver.keys")
    for name in sorted(unprojected(silver, silver.columns or ())):
        needed.setdefault(name, _reader(silver, name))
    return needed


def unprojected(silver: Silver, columns: Iterable[str]) -> set[str]:
    """Which columns of the source sequence_by, delete_when, operations and lookups name: those not in `columns`."""
    projected = {name.casefold() for name in columns}
    named = {*silver.sequence_by, *(source_columns(silver.delete_when) if silver.delete_when else ())}
    named |= {silver.operations.column} if silver.operations else set()
    named |= {column.lookup.key for column in (silver.columns or {}).values() if column.lookup}
    return {name for name in named if name.casefold() not in projected}


def _reader(silver: Silver, source: str) -> str:
    if source in silver.sequence_by:
        return "silver.sequence_by"
    looking = (name for name, column in (silver.columns or {}).items() if column.lookup and column.lookup.key == source)
    if column := next(looking, None):
        return f"silver.columns.{column}"
    return "silver.operations.column" if silver.operations else "silver.delete_when"


def key_sources(silver: Silver) -> set[str]:
    """The source's columns without which no row could have a key."""
    sources: set[str] = set()
    for key in silver.keys:
        column = (silver.columns or {}).get(key)
        if column is not None and column.lookup is not None:
            sources.add(column.lookup.key)
        elif column is not None and column.expr is not None:
            sources |= source_columns(column.expr)
        else:
            sources.add((column.from_ if column else None) or key)
    return sources


def flags(silver: Silver) -> set[str]:
    """The source's columns that only `delete_when` reads: without them nothing is deleted."""
    named = source_columns(silver.delete_when) if silver.delete_when else frozenset()
    return (unprojected(silver, silver.columns or ()) & named) - set(silver.sequence_by)


def missing_columns(
    where: str, silver: Silver, available: Sequence[str], *, lenient: bool, sparse: bool = False
) -> list[str]:
    """The columns that silver reads and the batch has not. Raises SchemaMismatch if it cannot do without.

    A `sparse` source leaves a field out where it says nothing: whole batches may have none of an optional one.
    """
    known = {RESCUED, *(name.lower() for name in available)}
    needed = needed_columns(silver)
    missing = [name for name in needed if name.lower() not in known]
    decisive = key_sources(silver) | unprojected(silver, silver.columns or known)
    decisive -= flags(silver) if sparse else set()
    fatal = missing if not lenient else [name for name in missing if name in decisive]
    if fatal:
        lines = [f"  {name!r}, which {needed[name]} reads{_nearest(name, available)}" for name in fatal]
        raise SchemaMismatch(
            f"{where}: the batch has no column\n" + "\n".join(lines) + f"\nIt has: {', '.join(available)}. "
            "Its rows stay in bronze; silver is unchanged. Correct the source's header or the configuration, "
            "then clear the run."
        )
    return missing


def untyped(silver: Silver, absent: Sequence[str]) -> set[str]:
    """Silver's columns that only pass on a column of the source, one of `absent`, and have no type of their own yet.

    Raises SchemaMismatch if silver needs the type now.
    """
    columns = silver.columns or {}
    plain = {name: column.from_ or name for name, column in columns.items() if not (column.expr or column.lookup)}
    gone = {name.lower() for name in absent}
    found = {name: source for name, source in plain.items() if columns[name].type is None and source.lower() in gone}
    laid_out = {name.lower() for name in (*silver.partition_by, *silver.cluster_by)}
    for name, source in found.items():
        if silver.schema_ == "enforce" or name.lower() in laid_out:
            why = "`schema: enforce`" if silver.schema_ == "enforce" else "the table is laid out by it"
            raise SchemaMismatch(
                f"silver.columns.{name}: no batch has had a column {source!r} yet, and {why}, so that its type must be "
                f"known. Write it: {name}: {{from: {source}, type: …}}. Silver is unchanged."
            )
    return set(found)


def unused_columns(silver: Silver, available: Sequence[str]) -> list[str]:
    """Those of the source's columns `available` of which silver takes nothing, as far as its configuration tells."""
    if silver.columns is None or silver.keep_others or silver.transform is not None or silver.sql is not None:
        return []
    used = {RESCUED, *CHANGE_COLUMNS, *(name.lower() for name in needed_columns(silver))}
    if silver.images is not None:
        used |= {silver.images.before.lower(), silver.images.after.lower()}
    return [name for name in available if name.lower() not in used]


def in_types(rows: DataFrame, columns: Sequence[Projected]) -> list[Projected]:
    """`columns` of `rows` in the types that are wanted of them.

    Those of a nested type are made of their fields by name: a cast takes them by their place. Text that is made of
    an object is JSON, and a whole number is not made of one with a fraction.
    """
    asked = [column for column in columns if column.wanted]
    if not asked:
        return list(columns)
    pairs = ((F.expr(column.sql), F.expr(f"cast(NULL AS {column.wanted})")) for column in asked)
    named = [value.alias(f"c{number}") for number, value in enumerate(chain.from_iterable(pairs))]
    kinds = [field.dataType for field in rows.select(*named).schema.fields]
    fits = {
        column.name: Fitting(exact=False).fit(f"({column.sql})", got, want)
        for column, got, want in zip(asked, kinds[::2], kinds[1::2], strict=True)
    }
    return [column.fitted(fits[column.name]) if column.wanted else column for column in columns]


def _column(name: str, column: Column) -> Projected:
    if column.lookup is not None:
        source = quote(found(name))
    else:
        source = column.expr if column.expr is not None else quote(column.from_ or name)
    looked_up = column.lookup is not None
    return Projected(name, source, lost_in(column.expr, name), looked_up=looked_up, wanted=column.type)


def _nearest(name: str, available: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, available, n=1)
    return f" (did the source mean {near[0]!r}?)" if near else ""
