"""What sqlglot sees in `silver.sql`: one SELECT FROM `batch`, each of whose rows is made from one row of the batch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_ingest.config.sql import CLOCKS, DIALECT, Query, SqlProblem, calls, offset_of, parse_query

if TYPE_CHECKING:
    from sqlglot import exp

BATCH = "batch"
_IN_GOLD = "Make it in gold, where rows are brought together; silver's rows each come from one row of the source."
_EACH_ROW = "Every row has to know which row of the batch it was made from."
_NO_ONE_ROW = "no row of the result then comes from one row of the batch"
_BEGIN = "Begin with SELECT … FROM batch."


@lru_cache(maxsize=256)
def parse_batch_query(text: str) -> Query:
    """Parse one SELECT over `batch`; its tables are those besides, such as `silver.airlines`."""
    query = parse_query(text)
    places = tuple((name, offset) for name, offset in query.places if name.casefold() != BATCH)
    if query.problems and not query.places:
        return query
    import sqlglot

    misfits = _misfits(sqlglot.parse_one(text, read=DIALECT), text)
    problems = sorted([*query.problems, *misfits], key=lambda found: found.offset)
    return Query(places, query.columns, tuple(problems))


def from_batch(tree: exp.Expr) -> exp.Table | None:
    """The table `batch` where the outer FROM begins, if it does."""
    from sqlglot import exp

    found = tree.args.get("from_")
    table = found.this if isinstance(found, exp.From) else None
    return table if isinstance(table, exp.Table) and is_batch(table) else None


def is_batch(table: exp.Table) -> bool:
    """Whether `table` is the relation `batch`."""
    return not table.db and table.name.casefold() == BATCH


def before_from(text: str) -> int | None:
    """Where in `text` the outer SELECT's list ends; None if the text does not begin with SELECT or WITH."""
    import sqlglot

    depth, selecting, last = 0, False, ""
    tokens = [(token.token_type.name, int(token.start)) for token in sqlglot.tokenize(text, read=DIALECT)]
    if not tokens or tokens[0][0] not in ("SELECT", "WITH"):
        return None
    for kind, start in tokens:
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if depth == 0 and kind == "SELECT":
            selecting = True
        elif depth == 0 and selecting and kind == "FROM" and last != "DISTINCT":
            return start
        last = kind
    return None


def _misfits(tree: exp.Expr, text: str) -> Iterator[SqlProblem]:
    from sqlglot import exp

    if not isinstance(tree, exp.Select):
        yield SqlProblem(offset_of(tree), f"{tree.key.upper()} brings results together: {_NO_ONE_ROW}", _IN_GOLD)
        return
    for name, offset in calls(tree):
        if name in CLOCKS:
            yield SqlProblem(offset, f"{name}() does not keep to the run's clock", "Use current_timestamp() instead.")
    yield from _relations(tree, text)
    for node, what in _gathers(tree):
        yield SqlProblem(offset_of(node), f"{what}: {_NO_ONE_ROW}", _IN_GOLD)


def _relations(tree: exp.Select, text: str) -> Iterator[SqlProblem]:
    """What is wrong with how `batch` and what it is joined with are read."""
    from sqlglot import exp

    batches = [table for table in tree.find_all(exp.Table) if is_batch(table)]
    first = from_batch(tree)
    if first is None or before_from(text) is None or "|>" in text:
        place = offset_of(batches[0]) if batches else 0
        yield SqlProblem(place, "the outer FROM does not begin with batch, the rows of the batch", _BEGIN)
    for again in batches:
        if first is not None and again is not first:
            problem = "reads batch twice: a row may not depend on the other rows that happen to come with it"
            yield SqlProblem(offset_of(again), problem, _IN_GOLD)
    for join in tree.args.get("joins") or []:
        if join.side in ("RIGHT", "FULL"):
            problem = f"a {join.side} JOIN keeps rows that no row of the batch made"
            yield SqlProblem(offset_of(join), problem, f"Use LEFT JOIN. {_EACH_ROW}")


def _gathers(tree: exp.Select) -> Iterator[tuple[exp.Expr, str]]:
    """Each part of the outer SELECT that makes one row of several, or lets a row depend on others."""
    from sqlglot import exp

    clauses = {"group": "GROUP BY", "having": "HAVING", "distinct": "DISTINCT", "limit": "LIMIT", "offset": "OFFSET"}
    clauses["qualify"] = "QUALIFY"
    found = [(tree.args[key], f"{words} brings rows together") for key, words in clauses.items() if tree.args.get(key)]
    if tree.args.get("group") is None:
        for node in tree.find_all(exp.AggFunc, exp.Window):
            if node.find_ancestor(exp.Select) is tree and not isinstance(node.parent, exp.Window):
                what = "a window looks at other rows" if isinstance(node, exp.Window) else _called(node)
                found.append((node, what))
    found += [(pivot, "PIVOT brings rows together") for pivot in tree.find_all(exp.Pivot)]
    yield from found


def _called(node: exp.Expr) -> str:
    from sqlglot import exp

    name = node.sql_name().lower() if isinstance(node, exp.Func) else "an aggregate"
    return f"{name}() brings rows together"
