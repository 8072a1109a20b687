"""What sqlglot sees in the SQL of a configuration. It is imported only where there is SQL to parse."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_ingest.config.values import words

if TYPE_CHECKING:
    from sqlglot import exp

DIALECT = "spark"
INVALID = "not valid SQL"


_SIMPLE = re.compile(r"\s*([a-z_]\w*)(?:\s*(?:[<>]=?|=|!=|<>)\s*-?\d+(?:\.\d+)?|\s+is\s+(?:not\s+)?null)?\s*\Z", re.I)
_NOT_COLUMNS = re.compile(r"(?:true|false|null|current_\w+|localtime\w*|session_user|user|case|not|select)\Z", re.I)
_RANDOM = words(
    "rand random randn randstr uniform uuid shuffle monotonically_increasing_id spark_partition_id "
    "input_file_name input_file_block_start input_file_block_length reflect java_method try_reflect"
)
CLOCKS = frozenset({"now", "localtimestamp", "localtime", "current_time", "curdate"})
_MAYBE_CLOCK = re.compile(r"current_|now|local|curdate", re.I)
_GENERATORS = words("explode explode_outer posexplode posexplode_outer inline inline_outer stack json_tuple")
_KEYWORDS = words(
    "SELECT FROM WHERE GROUP ORDER HAVING JOIN LEFT RIGHT INNER OUTER CROSS UNION WITH DISTINCT LIMIT BETWEEN LIKE "
    "CASE WHEN THEN ELSE END AND NOT NULL LATERAL WINDOW"
)
SAME = "A load that is repeated must come to the same rows."
_ONE_SELECT = "must be one SELECT statement"
_UNITS = words("year quarter month week day dayofyear hour minute second millisecond microsecond")


@dataclass(frozen=True)
class SqlProblem:
    """What is wrong with an SQL text, and how many characters into it."""

    offset: int
    problem: str
    hint: str = ""


@dataclass(frozen=True)
class Expression:
    """An expression over one row: the columns it reads with their places, or what is wrong with it."""

    columns: tuple[tuple[str, int], ...] = ()
    problems: tuple[SqlProblem, ...] = ()


@dataclass(frozen=True)
class Query:
    """One SELECT: the tables it reads with their places, its columns (None if a star hides them), or what is wrong."""

    places: tuple[tuple[str, int], ...] = ()
    columns: tuple[str, ...] | None = None
    problems: tuple[SqlProblem, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables, each once."""
        return tuple(dict.fromkeys(name for name, _ in self.places))


@lru_cache(maxsize=8192)
def parse_expression(text: str, *, aggregate: bool = False) -> Expression:
    """Parse an expression over one row; with `aggregate`, over a group of rows."""
    simple = None if aggregate else _SIMPLE.match(text)
    if simple and not _NOT_COLUMNS.match(simple[1]):
        return Expression(((simple[1], simple.start(1)),))
    trees = _parse(text)
    if isinstance(trees, SqlProblem):
        return Expression(problems=(trees,))
    if len(trees) != 1:
        return Expression(problems=(SqlProblem(0, "must be one expression", "Remove the semicolon."),))
    from sqlglot import exp

    tree = trees[0]
    if isinstance(tree, exp.Query | exp.DDL | exp.DML | exp.Command):
        return Expression(problems=(SqlProblem(0, "must be an expression, not a statement"),))
    problems = (*_comments(tree, text), *_misfits(tree, aggregate=aggregate))
    return Expression(tuple(_columns(tree)), problems)


def expression_problem(text: str) -> str:
    """What is wrong with an expression over one row that is no part of a file, in a sentence; empty if it is sound."""
    problems = parse_expression(text).problems
    return f"{problems[0].problem} in {text!r}. {problems[0].hint}".strip() if problems else ""


@lru_cache(maxsize=4096)
def parse_query(text: str) -> Query:
    """Parse one SELECT statement."""
    trees = _parse(text)
    if isinstance(trees, SqlProblem):
        return Query(problems=(trees,))
    from sqlglot import exp

    if len(trees) > 1:
        return Query(problems=(SqlProblem(text.find(";"), _ONE_SELECT, "Split it into several gold tables."),))
    if not isinstance(trees[0], exp.Query):
        return Query(problems=(SqlProblem(0, _ONE_SELECT, "A gold table is what its SELECT returns."),))
    tree = trees[0]
    named = {cte.alias_or_name.casefold() for cte in tree.find_all(exp.CTE)}
    tables = [
        (_table_name(table), offset_of(table))
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.db or table.name.casefold() not in named)
    ]
    columns = None if tree.is_star else tuple(tree.named_selects)
    random = [(f"{name}()", offset) for name, offset in calls(tree) if name in _RANDOM]
    random += [("TABLESAMPLE", offset_of(sample)) for sample in tree.find_all(exp.TableSample)]
    problems = tuple(SqlProblem(offset, f"{what} gives another answer each time", SAME) for what, offset in random)
    return Query(tuple(sorted(tables, key=lambda found: found[1])), columns, problems)


@lru_cache(maxsize=4096)
def has_aggregate(text: str) -> bool:
    """Whether an expression aggregates; a function that sqlglot does not know may be one."""
    import sqlglot
    from sqlglot import exp

    return sqlglot.parse_one(text, dialect=DIALECT).find(exp.AggFunc, exp.Anonymous) is not None


@lru_cache(maxsize=4096)
def reads_clock(text: str) -> bool:
    """Whether what a sound SELECT gives depends on when it is asked."""
    if _MAYBE_CLOCK.search(text) is None:
        return False
    import sqlglot

    called = {name for name, _ in calls(sqlglot.parse_one(text, dialect=DIALECT))}
    return not called.isdisjoint(CLOCKS | {"current_date", "current_timestamp"})


def _parse(text: str) -> list[exp.Expr] | SqlProblem:
    if "{{" in text or "{%" in text:
        offset = min(found for mark in ("{{", "{%") if (found := text.find(mark)) >= 0)
        return SqlProblem(offset, "Jinja is rendered in source.files only, not in SQL")
    import sqlglot
    from sqlglot.errors import ParseError, TokenError

    try:
        trees = [tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None]
    except ParseError as error:
        return _explain(error.errors[0], text)
    except TokenError as error:
        return _explain_token(error, text)
    except RecursionError:
        return SqlProblem(0, "is nested too deeply")
    return trees or SqlProblem(0, "is empty")


def _explain(error: dict[str, Any], text: str) -> SqlProblem:
    token, description = str(error.get("highlight") or ""), str(error.get("description") or "")
    lines = text.split("\n")
    line = int(error.get("line") or 1) - 1
    offset = sum(len(before) + 1 for before in lines[:line]) + int(error.get("col") or 1) - len(token)
    offset = max(0, min(offset, len(text)))
    if description.startswith("Required keyword"):
        return SqlProblem(offset, f'{INVALID}: something is missing after "{token}"')
    if expecting := re.match(r"Expect(?:ing|ed) (\S+)", description):
        return SqlProblem(offset, f'{INVALID}: "{expecting[1]}" is missing after "{token}"')
    if "Unexpected token" in description:
        last = not text[offset + len(token) :].strip()
        reason = f'"{token}" does not belong here' + (", or something is missing after it" if last else "")
        return SqlProblem(offset, f"{INVALID}: {reason}", _keyword_hint(text, offset))
    return SqlProblem(offset, f'{INVALID}: {description} at "{token}"')


def _keyword_hint(text: str, offset: int) -> str:
    """The keyword that the first word, or the one before an unexpected token, may have been meant to be."""
    before = re.findall(r"\w+", text[:offset])
    for word in (*before[:1], *before[-1:]):
        if word.upper() not in _KEYWORDS and (found := get_close_matches(word.upper(), _KEYWORDS, n=1, cutoff=0.75)):
            return f'Did you mean "{found[0]}" for "{word}"?'
    return ""


def _explain_token(error: Exception, text: str) -> SqlProblem:
    place = re.match(r"Missing (\S+) from (\d+):(\d+)", str(error.__cause__ or error))
    if place is None:
        return SqlProblem(0, f"{INVALID}: {error}")
    return SqlProblem(max(text.rfind(place[1]), 0), f"{INVALID}: this {place[1]} is not closed")


def _comments(tree: exp.Expr, text: str) -> Iterator[SqlProblem]:
    """An expression becomes a part of larger SQL, of which a comment would swallow the rest."""
    if any(node.comments for node in tree.walk()):
        marks = [found for mark in ("--", "/*") if (found := text.find(mark)) >= 0]
        yield SqlProblem(min(marks, default=0), "has a comment inside", "Write it behind # on a line of its own.")


def _misfits(tree: exp.Expr, *, aggregate: bool) -> Iterator[SqlProblem]:
    from sqlglot import exp

    clauses = (exp.Query, exp.Window) if aggregate else (exp.Query, exp.Window, exp.AggFunc)
    for node in tree.find_all(*clauses):
        if isinstance(node, exp.Query):
            yield SqlProblem(offset_of(node), "a subquery has no place in an expression", "Write it as a gold table.")
        elif isinstance(node, exp.Window):
            yield SqlProblem(offset_of(node), "a window has no place here", "Use `over`, or a gold table's sql.")
        elif not isinstance(node.parent, exp.Window):
            name = node.sql_name().lower()
            yield SqlProblem(offset_of(node), f"{name}() needs many rows, and this looks at one", "Use it in gold.")
    for name, offset in calls(tree):
        if name in _RANDOM:
            yield SqlProblem(offset, f"{name}() gives another answer each time", SAME)
        elif name in CLOCKS:
            yield SqlProblem(offset, f"{name}() does not keep to the run's clock", "Use current_timestamp() instead.")
        elif name in _GENERATORS:
            yield SqlProblem(offset, f"{name}() makes several rows of one", "Use it in gold, where rows are made.")


def calls(tree: exp.Expr) -> Iterator[tuple[str, int]]:
    """The functions that are called, by the lower-case names of Spark."""
    from sqlglot import exp

    for node in tree.find_all(exp.Func):
        if isinstance(node, exp.Anonymous):
            yield node.name.lower(), offset_of(node)
        else:
            yield node.sql_name().lower(), offset_of(node)


def _columns(tree: exp.Expr) -> Iterator[tuple[str, int]]:
    from sqlglot import exp

    for node in tree.find_all(exp.Column):
        root = node.parts[0]
        if not isinstance(root, exp.Identifier) or (root.name.lower() in _UNITS and not root.quoted):
            continue
        yield root.name, int(root.meta.get("start", 0))


def _table_name(table: exp.Table) -> str:
    return ".".join(part.name for part in table.parts)


def offset_of(node: exp.Expr) -> int:
    """Where a node begins in its text, as far as sqlglot tells."""
    return min((int(part.meta["start"]) for part in node.walk() if "start" in part.meta), default=0)
