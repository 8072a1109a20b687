"""Which column is made of which, as far as the configuration tells. What cannot be told is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from airflow_ingest.config.batch_sql import BATCH
from airflow_ingest.config.sql import DIALECT, parse_expression

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.lineage import Node
    from sqlglot.optimizer import Scope

    from airflow_ingest.config import Column, Gold, Silver, Table

How: TypeAlias = Literal["identity", "transformation", "aggregation", "filter", "join", "group_by"]
"""The first three make a column's values; the others decide which rows there are, or which of them meet."""


@dataclass(frozen=True)
class Origin:
    """A `column` of `table`, and what it does for another: `table` is named as in gold's SQL, `bronze.orders`."""

    table: str
    column: str
    how: How = "identity"
    masked: bool = False


@dataclass(frozen=True)
class Columns:
    """A table's columns.

    - `types`: all of them that are known, in their order, each with its type; empty where that is not known
    - `origins`: what each is made of
    - `rows`: what decides over all its rows
    """

    types: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, Sequence[Origin]] = field(default_factory=dict)
    rows: Sequence[Origin] = ()


def bronze_columns(table: Table, source: str, types: Mapping[str, str]) -> Columns:
    """Bronze's columns, which are those of `source`; `types` are theirs."""
    masked = {(column.from_ or name).lower() for name, column in _declared(table.silver).items() if column.mask}
    found = {name: [Origin(source, name, masked=name.lower() in masked)] for name in types}
    return Columns(types, found)


def silver_columns(name: str, table: Table, bronze: Sequence[str]) -> Columns:
    """Silver's columns, made of those of `bronze` and of other tables of silver."""
    silver = table.silver
    if silver is None:
        return Columns()
    source = _source_columns(name, silver, bronze)
    declared = _declared(silver)
    others = [column for column in (source or ()) if silver.columns is None or silver.keep_others]
    taken = {(column.from_ or column_name).lower() for column_name, column in declared.items()}
    others = [column for column in others if column.lower() not in taken]
    told = {found: column.type or ("string" if column.mask else "") for found, column in declared.items()}
    types = {**told, **dict.fromkeys(others, "")}
    if source is None:
        return Columns(types)
    known = {column.lower(): origins for column, origins in source.items()}
    made = {found: _origins(name, found, column, known) for found, column in declared.items()}
    kept = {column: source[column] for column in others}
    rows = [origin for text in (silver.where, silver.delete_when) if text for origin in _read(text, known, "filter")]
    return Columns(types, {found: origins for found, origins in {**made, **kept}.items() if origins}, rows)


def gold_columns(gold: Gold) -> Columns:
    """The columns of a gold table, made of those that its query and its dimensions read."""
    found = query_columns(gold.query)
    origins = {name: list(those) for name, those in found.origins.items()}
    for new, dimension in gold.dimensions.items():
        looked_for = [replace(origin, how="join") for origin in origins.get(dimension.by or dimension.key, [])]
        key = Origin(dimension.table, dimension.key, "join")
        origins[new] = [Origin(dimension.table, dimension.take or new), key, *looked_for]
    for new, columns in gold.surrogate_key.items():
        origins[new] = [
            replace(origin, how="transformation") for column in columns for origin in origins.get(column, [])
        ]
    types = {**found.types, **dict.fromkeys(gold.dimensions, ""), **dict.fromkeys(gold.surrogate_key, "string")}
    return Columns(types if found.types else {}, {new: those for new, those in origins.items() if those}, found.rows)


def query_columns(sql: str) -> Columns:
    """The columns of a SELECT, as sqlglot traces them; their names alone, or nothing, where it cannot."""
    from sqlglot import exp, parse_one
    from sqlglot.errors import SqlglotError

    try:
        tree = parse_one(sql, dialect=DIALECT)
    except SqlglotError:
        return Columns()
    if not isinstance(tree, exp.Query) or tree.is_star or not all(tree.named_selects):
        return Columns()
    types = dict.fromkeys(tree.named_selects, "")
    for aliases in (True, False):
        with suppress(SqlglotError, ValueError, RecursionError):
            return replace(_traced(tree, aliases=aliases), types=types)
    return Columns(types)


def _traced(tree: exp.Query, *, aliases: bool) -> Columns:
    """What the columns of `tree` are made of; `aliases`: they may also read each other.

    Without the schema of its tables sqlglot gives up where a name can be a column of a table and an alias.
    """
    from sqlglot import exp
    from sqlglot.lineage import lineage
    from sqlglot.optimizer import build_scope
    from sqlglot.optimizer.qualify import qualify

    names, spelled = tree.named_selects, _spelling(tree)
    whole = qualify(
        tree.copy(), dialect=DIALECT, expand_alias_refs=aliases, validate_qualify_columns=False, identify=False
    )
    scope = build_scope(whole)
    if scope is None:
        return Columns()
    nodes = lineage(None, whole, {}, dialect=DIALECT, scope=scope, trim_selects=False)
    traced = dict(zip(names, nodes.values(), strict=True))
    origins = {name: sorted(set(_leaves(node, spelled)), key=astuple) for name, node in traced.items()}
    rows = dict.fromkeys(
        Origin(_table(source), spelled.get(column.name, column.name), how)
        for part in scope.traverse()
        for column, how in _deciding(part.expression)
        if isinstance(source := _source_of(column, part), exp.Table)
    )
    return Columns({}, {name: found for name, found in origins.items() if found}, list(rows))


def _declared(silver: Silver | None) -> Mapping[str, Column]:
    return (silver.columns if silver else None) or {}


def _source_columns(name: str, silver: Silver, bronze: Sequence[str]) -> Mapping[str, Sequence[Origin]] | None:
    """The columns that `silver.columns` speaks of, each with what of bronze it is; None where nobody knows."""
    own = f"bronze.{name}"
    if silver.transform is not None or silver.images is not None:
        return None
    if silver.sql is None:
        return {column: [Origin(own, column)] for column in bronze}
    found = query_columns(silver.sql)
    return {
        column: [replace(origin, table=own) if origin.table == BATCH else origin for origin in origins]
        for column, origins in found.origins.items()
    } or None


def _origins(name: str, column: str, spec: Column, known: Mapping[str, Sequence[Origin]]) -> list[Origin]:
    if spec.lookup is not None:
        lookup = spec.lookup
        key = [replace(origin, how="join") for origin in known.get(lookup.key.lower(), ())]
        return [Origin(lookup.table, lookup.take), Origin(lookup.table, lookup.key, "join"), *key]
    if spec.expr is not None:
        return list(_read(spec.expr, known, "transformation"))
    origins = known.get((spec.from_ or column).lower(), ())
    return [origin if spec.type is None else _changed(origin, "transformation") for origin in origins]


def _read(text: str, known: Mapping[str, Sequence[Origin]], how: How) -> Iterator[Origin]:
    """What an expression over the columns `known` reads."""
    found = sorted(parse_expression(text).columns, key=lambda place: place[1])
    for column in dict.fromkeys(column.lower() for column, _ in found):
        for origin in known.get(column, ()):
            yield _changed(origin, how)


def _changed(origin: Origin, how: How) -> Origin:
    return origin if origin.how == "join" else replace(origin, how=how)


def _leaves(node: Node, spelled: Mapping[str, str], how: How = "identity") -> Iterator[Origin]:
    from sqlglot import exp

    if not node.downstream:
        if isinstance(node.source, exp.Table):
            column = exp.to_column(node.name, dialect=DIALECT).name
            yield Origin(_table(node.source), spelled.get(column, column), how)
        return
    how = _stronger(how, node.expression)
    for below in node.downstream:
        yield from _leaves(below, spelled, how)


def _stronger(how: How, expression: exp.Expr) -> How:
    """What becomes of values that also go through `expression`."""
    from sqlglot import exp

    if how == "aggregation" or expression.find(exp.AggFunc):
        return "aggregation"
    return how if isinstance(expression.unalias(), exp.Column) else "transformation"


def _deciding(expression: exp.Expr) -> Iterator[tuple[exp.Column, How]]:
    """The columns in the clauses of one SELECT that decide over its rows."""
    from sqlglot import exp

    clauses: Iterable[tuple[str, How]] = (("where", "filter"), ("having", "filter"), ("group", "group_by"))
    found = [(expression.args.get(clause), how) for clause, how in clauses]
    joins: How = "join"
    found += [(join.args.get("on"), joins) for join in expression.args.get("joins") or ()]
    for clause, how in found:
        for column in clause.find_all(exp.Column) if clause else ():
            yield column, how


def _source_of(column: exp.Column, scope: Scope) -> object:
    """The table, or the scope of a subquery, that `column` of `scope` is of; None where it may be of several."""
    sources = {name: source for name, (_, source) in scope.selected_sources.items()}
    return sources.get(column.table, next(iter(sources.values())) if len(sources) == 1 else None)


def _spelling(tree: exp.Expr) -> Mapping[str, str]:
    """How the query writes each column, by its name in lower case, which sqlglot makes of it; if it does so one way."""
    from sqlglot import exp

    found: dict[str, set[str]] = {}
    for column in tree.find_all(exp.Column):
        found.setdefault(column.name.lower(), set()).add(column.name)
    return {lower: next(iter(names)) for lower, names in found.items() if len(names) == 1}


def _table(table: exp.Expr) -> str:
    from sqlglot import exp

    return ".".join(part.name for part in table.parts) if isinstance(table, exp.Table) else ""
