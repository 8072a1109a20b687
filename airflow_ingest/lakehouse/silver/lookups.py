"""Values from other tables of silver, taken by a key as the tables were at one version each.

The gate looks versions up, and the merge takes the same, so that both see the same values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql import Column as SparkColumn
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from airflow_ingest.config import Column, RelationshipsRule, Rule, Silver, Table
from airflow_ingest.lakehouse.errors import SchemaMismatch, SourceNotFound
from airflow_ingest.lakehouse.lake import Lake
from airflow_ingest.lakehouse.log import history
from airflow_ingest.lakehouse.silver.rows import SEQUENCE
from airflow_ingest.lakehouse.sql import quote

_KEY = "__lookup_key"
_FOUND = "__lookup_"


@dataclass(frozen=True)
class Lookups:
    """The tables that one table's silver looks values up in or joins: by name (`silver.airlines`), with versions."""

    spark: SparkSession
    lake: Lake
    versions: Mapping[str, int]

    @classmethod
    def of(cls, spark: SparkSession, lake: Lake, table: Table, versions: Mapping[str, int] | None = None) -> Lookups:
        """The tables that `table` looks values up in, joins, or relates to: at those `versions`, or as they are now.

        Raises SourceNotFound if one was never published.
        """
        known = versions or {}
        tables = sorted(f"silver.{name}" for name in table.looked_up)
        pinned = {name: known[name] if name in known else _newest(spark, lake, name) for name in tables}
        return cls(spark, lake, pinned)

    def beside(self, rows: DataFrame, silver: Silver) -> DataFrame:
        """`rows` with what is found for each column that has a lookup, named as `found` says; NULL where nothing is."""
        by_table: dict[tuple[str, str], dict[str, str]] = {}
        for name, column in _looked_up(silver):
            assert column.lookup is not None
            by_table.setdefault((column.lookup.table, column.lookup.key), {})[name] = column.lookup.take
        kinds = _kinds(rows)
        for index, ((table, key), takes) in enumerate(by_table.items()):
            found = self._read(table, key, takes, f"{_KEY}_{index}", kinds[key.lower()])
            rows = rows.join(found, F.col(quote(key)) == F.col(f"{_KEY}_{index}"), "left").drop(f"{_KEY}_{index}")
        return rows

    def related(self, rows: DataFrame, rules: Iterable[Rule]) -> tuple[DataFrame, dict[str, str]]:
        """`rows` with a column `known_as` for each of `rules` that is a relationship: NULL where there is none.

        Beside them, by name, the rules for which that cannot be said, and why.
        """
        relationships = [rule for rule in rules if isinstance(rule, RelationshipsRule)]
        kinds = _kinds(rows) if relationships else {}
        refused: dict[str, str] = {}
        for rule in relationships:
            spec, alias, known = rule.relationships, f"{_KEY}_{rule.name}", known_as(rule.name)
            kind = kinds.get(spec.column.lower())
            if kind is None:
                refused[rule.name] = f"the rows have no column {spec.column}"
                continue
            try:
                there = self._keys(spec.table, spec.key, alias, kind).withColumn(known, F.lit(True))
            except SchemaMismatch as mismatch:
                refused[rule.name] = str(mismatch)
                continue
            rows = rows.join(there, F.col(quote(spec.column)) == F.col(quote(alias)), "left").drop(alias)
        return rows, refused

    def read(self, table: str) -> DataFrame:
        """All rows of `table` as they were at its version."""
        reader = self.spark.read.format("delta").option("versionAsOf", self.versions[table])
        return reader.load(_path(self.lake, table))

    def _read(self, table: str, key: str, takes: Mapping[str, str], alias: str, kind: str) -> DataFrame:
        rows = self._live(table, (key, *takes.values()))
        newest = (F.max_by(F.col(quote(take)), F.col(SEQUENCE)).alias(found(name)) for name, take in takes.items())
        return rows.groupBy(_as(key, kind).alias(alias)).agg(*newest).where(F.col(alias).isNotNull())

    def _keys(self, table: str, key: str, alias: str, kind: str) -> DataFrame:
        rows = self._live(table, (key,)).select(_as(key, kind).alias(alias))
        return rows.where(F.col(quote(alias)).isNotNull()).distinct()

    def _live(self, table: str, wanted: Sequence[str]) -> DataFrame:
        """The rows of `table` that are not deleted and valid still, if it has the columns `wanted`."""
        path, rows = _path(self.lake, table), self.read(table)
        known = {name.lower() for name in rows.columns}
        if absent := [name for name in wanted if name.lower() not in known]:
            raise SchemaMismatch(
                f"{path} has no column {', '.join(absent)}, which a lookup or a relationship takes from it. "
                "Correct it, or load that table first."
            )
        for live in (name for name in ("_deleted_at", "_valid_to") if name in known):
            rows = rows.where(F.col(live).isNull())
        return rows


def known_as(rule: str) -> str:
    """Under which name `Lookups.related` says whether the relationship of the rule so named is there."""
    return f"__related {rule}"


def found(name: str) -> str:
    """Under which name `Lookups.beside` gives the value for silver's column `name`."""
    return f"{_FOUND}{name}"


def as_sql(column: Column) -> str:
    """A column's lookup as SQL, to be read."""
    assert column.lookup is not None
    key = quote(column.lookup.key)
    return f"(SELECT {quote(column.lookup.take)} FROM {column.lookup.table} AS l WHERE l.{key} = {key})"


def _kinds(rows: DataFrame) -> Mapping[str, str]:
    """The types of the columns of `rows`, by their names in lower case."""
    return {field.name.lower(): field.dataType.simpleString() for field in rows.schema.fields}


def _as(key: str, kind: str) -> SparkColumn:
    """The column `key` as another table has it: '1' and '01' are one number, and 1.5 is not 1."""
    there = f"try_cast({quote(key)} AS {kind})"
    return F.expr(f"CASE WHEN {there} = {quote(key)} THEN {there} END")


def _looked_up(silver: Silver) -> Iterator[tuple[str, Column]]:
    return ((name, column) for name, column in (silver.columns or {}).items() if column.lookup)


def _path(lake: Lake, table: str) -> str:
    return lake.silver(table.partition(".")[2])


def _newest(spark: SparkSession, lake: Lake, table: str) -> int:
    commits = history(spark, _path(lake, table), 1)
    if not commits:
        raise SourceNotFound(f"{table} has no published version yet, and silver reads it. Load it first.")
    return commits[0].version
