"""`silver.sql`: one SELECT over bronze's well-formed rows, the relation `batch`, in the place of a function.

What passes through it beside its own columns says of every row which row of the source it was made from, as with a
function (`PASSED_ON`). It is added to the SELECT here, and nobody has to write it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from airflow_ingest.config.batch_sql import BATCH, before_from, from_batch
from airflow_ingest.lakehouse.errors import TransformError
from airflow_ingest.lakehouse.expressions import Loss, losses
from airflow_ingest.lakehouse.silver.lookups import Lookups
from airflow_ingest.lakehouse.silver.transforms import beside_malformed, well_formed, with_source_rows
from airflow_ingest.lakehouse.spark_errors import brief
from airflow_ingest.lakehouse.sql import quote

if TYPE_CHECKING:
    from sqlglot import exp

_DIALECT = "databricks"  # Spark's own dialect reads CAST as TRY_CAST; this one keeps them apart
_CAME_WITH, _MADE_FROM = "__came_with", "__made_from"
_LOST = "__lost_"
_LAYER = "silver"


@dataclass(frozen=True)
class Model:
    """`silver.sql` made ready for Spark: `text` with a `{name}` for each relation in `relations`.

    Its result says in `lost(n)` whether a value got lost in the n-th of `losses`, which is in its column's SQL.
    """

    text: str
    relations: tuple[tuple[str, str], ...]
    losses: tuple[tuple[str, Loss], ...]


def lost(number: int) -> str:
    """The column of `modelled` that says whether a value got lost in the n-th loss of its `Model`."""
    return f"{_LOST}{number}"


def modelled(rows: DataFrame, sql: str, source: Sequence[str], carry: Sequence[str], lookups: Lookups) -> DataFrame:
    """`rows` of bronze, those that are well formed put through `sql`; see `lakehouse.silver.transforms.transformed`.

    Raises TransformError if Spark refuses it.
    """
    model = model_of(sql)
    rows, passed_on = with_source_rows(rows, source, carry)
    batch = well_formed(rows).select(
        *(F.col(quote(name)) for name in source),
        F.struct(*(F.col(quote(name)) for name in passed_on)).alias(_CAME_WITH),
    )
    relations: dict[str, Any] = {BATCH: batch, **{alias: lookups.read(table) for table, alias in model.relations}}
    try:
        result = rows.sparkSession.sql(model.text, **relations)
        made = result.columns
    except Exception as error:
        raise TransformError(f"silver.sql: {brief(error)}") from error
    own = [name for name in made if name not in (_CAME_WITH, _MADE_FROM)]
    if twice := sorted({name for name in own if [other.lower() for other in own].count(name.lower()) > 1}):
        raise TransformError(f"silver.sql gives several columns named {', '.join(twice)}. Name them apart: … AS name.")
    result = result.select(*(F.col(quote(name)) for name in own), f"{_MADE_FROM}.*")
    return beside_malformed(result, rows, passed_on)


@lru_cache(maxsize=64)
def model_of(sql: str) -> Model:
    """`sql`, which `validate` has found sound, made ready."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(sql, read=_DIALECT)
    batch, end = from_batch(tree), before_from(sql)
    assert batch is not None
    assert end is not None
    found = tuple(_losses(tree))
    checks = "".join(f", {loss.condition} AS {quote(lost(number))}" for number, (_, loss) in enumerate(found))
    came_with = f"{quote(batch.alias_or_name)}.{quote(_CAME_WITH)} AS {quote(_MADE_FROM)}"
    pieces = [(end, end, f"{_braced(f', {came_with}{checks}')} ")]
    tables = [table for table in tree.find_all(exp.Table) if table.db.lower() == _LAYER]
    names = dict.fromkeys(f"{_LAYER}.{table.name}" for table in tables)
    relations = {name: f"t{number}" for number, name in enumerate(names)}
    pieces.append(_piece(batch, BATCH, batch))
    pieces += [_piece(table, relations[f"{_LAYER}.{table.name}"], table) for table in tables]
    text, at = "", 0
    for start, stop, piece in sorted(pieces):
        text += _braced(sql[at:start]) + piece
        at = stop
    return Model(text + _braced(sql[at:]), tuple(relations.items()), found)


def _piece(table: exp.Table, relation: str, named: exp.Table) -> tuple[int, int, str]:
    """Where `table` stands in the text, and what to put there."""
    first = table.args.get("db") or table.this
    alias = "" if table.alias else f" AS {_braced(quote(named.name))}"
    return int(first.meta["start"]), int(table.this.meta["end"]) + 1, f"{{{relation}}}{alias}"


def _losses(tree: exp.Expr) -> Iterator[tuple[str, Loss]]:
    """Where the SELECT's own columns can lose a value without a word, each with the column's name."""
    from sqlglot import exp

    for item in tree.expressions:
        if item.find(exp.Query) is None:
            yield from ((item.alias_or_name, loss) for loss in losses(item.unalias().sql(dialect=_DIALECT)))


def _braced(text: str) -> str:
    """`text` for a formatter to which braces mean a relation."""
    return text.replace("{", "{{").replace("}", "}}")
