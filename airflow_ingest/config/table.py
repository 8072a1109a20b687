"""The models of one table: its source, its bronze and its silver."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from airflow_ingest.config.block import Block
from airflow_ingest.config.rules import Quality, RelationshipsRule
from airflow_ingest.config.values import Duration, Email, Lookback, Scalar, wrong
from airflow_ingest.config.wait import Wait

SchemaPolicy = Literal["evolve", "enforce"]
KEEP_OTHERS = "*keep"


class Jdbc(Block):
    """A database's table or query, read through JDBC: exactly one of `table` and `query`."""

    conn_id: str = Field(
        description="The Airflow connection to the database: of type `postgres`, or `jdbc` with the URL as its host."
    )
    table: str | None = Field(None, description="The table's name, with its schema's before a dot: `sales.orders`.")
    query: str | None = Field(None, description="A SELECT in the database's SQL, instead of a table.")
    columns: list[str] = Field([], description="The columns to read; left out: every one.")
    where: str | None = Field(None, description="A condition in the database's SQL; the database evaluates it.")
    partition_column: str | None = Field(
        None, description="The number, date or time column whose range is cut into `partitions`."
    )
    partitions: int = Field(1, ge=1, le=1000, description="How many ranges are read side by side.")
    fetch_size: int = Field(10_000, ge=1, description="How many rows a reader holds in memory at once.")


class DeltaTable(Block):
    """A Delta table that another pipeline writes, read by its versions: exactly one of `table` and `path`.

    `mode: interval` needs a cursor and takes the rows of the data interval, as the table is now; `full` takes them all.
    `incremental` takes the table as it is first, and then what was committed since, which the table has to record in a
    change feed: one of ours is told to at the first load. Each row then says in `_change_type` (`insert`,
    `update_postimage` or `delete`), `_commit_version` and `_commit_timestamp` what became of it; they are for silver to
    read, and stay in bronze unless silver asks for them under other names. The columns that loads add to our own tables
    are left behind.
    """

    table: str | None = Field(
        None, description="A table of the pipeline's own `lake`, by its layer and name: `silver.orders`."
    )
    path: str | None = Field(None, description="The folder or URL of a table that lies anywhere else.")
    columns: list[str] = Field([], description="The columns to read; left out: every one.")
    where: str | None = Field(
        None,
        description="A condition in Spark's SQL over the table's columns. A change that takes a row out of it is not "
        "seen, so with `incremental` let it speak of what does not change.",
    )
    starting_version: int | None = Field(
        None,
        ge=0,
        description="With `incremental`: the first version whose changes are taken. Left out: the table as it is, and "
        "then what changes.",
    )


class Source(Block):
    """Where a table's rows come from: exactly one of `files`, `jdbc`, `rest`, `kafka` and `delta`."""

    files: str | None = Field(
        None, description="A path or glob; `{{ ds }}` and the like are rendered from the run's data interval."
    )
    jdbc: Jdbc | None = Field(None, description="A database's table or query.")
    rest: dict[str, Any] | None = Field(None, description="A REST endpoint.")
    kafka: dict[str, Any] | None = Field(None, description="A Kafka topic.")
    delta: DeltaTable | None = Field(None, description="A Delta table that another pipeline writes.")
    format: Literal["csv", "json", "parquet"] | None = Field(
        None, description="What the files are: CSV, JSON lines or Parquet. Needed with `files`."
    )
    options: dict[str, Scalar] = Field({}, description="Options of Spark's reader, such as `header: true` for CSV.")


class Extract(Block):
    """How much of the source one run takes."""

    mode: Literal["interval", "incremental", "full"] = Field(
        "interval",
        description="`interval`: the run's data interval. `incremental`: rows from the watermark on, files that "
        "were not loaded before, what was committed to a Delta table since. "
        "`full`: everything.",
    )
    cursor: str | None = Field(
        None,
        description="The column that says how far the table has got: a number, a date or a time (UTC if it has no "
        "zone) that is never NULL. `interval` takes the rows in which it lies in the run's data interval.",
    )
    lookback: Lookback | None = Field(
        None,
        description="How far before the watermark a run reads again, for rows committed late: a duration, or a number "
        "for a cursor that counts.",
    )


class Sla(Block):
    """By when the data has to be there."""

    within: Duration = Field(description="Counted from the end of the data interval.")
    email: list[Email] = Field(
        [],
        description="Who is told when it is late. Left out: of a table those of the pipeline's sla, then alerts.email.",
    )


class Bronze(Block):
    """The rows as they came."""

    schema_: SchemaPolicy = Field(
        "evolve",
        alias="schema",
        description="What happens to new columns and wider types: `evolve` takes them; `enforce` fails, and keeps "
        "unknown fields of JSON as text: see [When a source's columns change](schema.md).",
    )


class Lookup(Block):
    """A value taken from another table of silver, as it was when the batch passed the gate."""

    table: str = Field(description="The other table, of the same pipeline: `silver.<table>`. It is loaded first.")
    key: str = Field(
        description="The column that both tables share: of this silver, else of the source. Where the other table has "
        "it several times, its newest row counts."
    )
    take: str = Field(description="The other table's column that is taken; NULL where it has no such row.")


class Column(Block):
    """One column of silver. A bare type is short for `{type: …}`."""

    type: str | None = Field(
        None, description="A Spark SQL type; a value that does not cast rejects its row. Left out: as it comes."
    )
    expr: str | None = Field(None, description="A Spark SQL expression over the source's columns.")
    from_: str | None = Field(None, alias="from", description="The source's name for this column.")
    mask: Literal["sha256", "redact", "partial"] | None = Field(
        None,
        description="How its values are hidden, in bronze already: as their digest, as `***`, or all but the last four "
        "characters. It holds for what is loaded from then on.",
    )
    lookup: Lookup | None = Field(None, description="Take the value from another table.")

    @model_validator(mode="before")
    @classmethod
    def _bare_type(cls, value: Any) -> Any:
        if value is None or value == {}:
            raise wrong("says nothing of its column", "Write its type, or {from: …}, or {expr: …}.")
        return {"type": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        block = handler.resolve_ref_schema(handler(schema))
        bare = {"type": "string", "description": "A Spark SQL type."}
        return {"description": cls.__doc__, "anyOf": [bare, block]}


class Operations(Block):
    """Which values of a column mean an insert, an update or a delete."""

    column: str = Field(description="The source's column that holds the operation.")
    insert: list[Scalar] = Field([], description="The values that mean an insert.")
    update: list[Scalar] = Field([], description="The values that mean an update.")
    delete: list[Scalar] = Field([], description="The values that mean a delete.")


class Images(Block):
    """Where a change's row before and after are: two columns of structs, or of JSON text.

    Silver reads their fields as if they were the source's columns: those of `after`, and where that is NULL, as in a
    deletion, those of `before`.
    """

    before: str = Field(description="The column that holds the row before the change.")
    after: str = Field(description="The column that holds the row after the change.")


class Silver(Block):
    """The cleaned table: typed, checked, one row per key."""

    transform: str | None = Field(
        None,
        description="`module:function`, from DataFrame to DataFrame, run first of all over bronze's well-formed rows. "
        "It must pass on the columns that begin with an underscore, give the same for the same rows, and not mind rows "
        "of several batches at once.",
    )
    sql: str | None = Field(
        None,
        description="In the place of `transform`: one SELECT whose outer FROM begins with `batch`, bronze's "
        "well-formed rows, and that may join the pipeline's `silver.<table>`s, as they were at the gate.",
    )
    where: str | None = Field(None, description="A condition over the source's names; what it drops is counted.")
    columns: dict[str, Column] | None = Field(
        None, description="A projection; left out: every column as it came. `'*': keep` passes the others on."
    )
    keep_others: bool = Field(False, alias=KEEP_OTHERS, description="Whether `'*': keep` is among the columns.")
    keys: list[str] = Field([], description="The columns that identify a row.")
    sequence_by: list[str] = Field([], description="The columns that say which of two rows with one key is newer.")
    load: Literal["append", "insert", "merge", "scd2", "overwrite", "replace"] = Field(
        "merge", description="How a batch goes into the table: see [How silver is loaded](loads.md)."
    )
    replace_where: str | None = Field(
        None,
        description="With `load: replace`: the condition on the rows replaced, rendered from the batch's own interval.",
    )
    delete_when: str | None = Field(
        None,
        description="A condition over silver's columns and the source's that makes a row the deletion of its key.",
    )
    deletes: Literal["hard", "soft"] | None = Field(
        None, description="`hard` removes the row, `soft` keeps it with `_deleted_at`."
    )
    operations: Operations | None = Field(None, description="A column that says what each row does.")
    images: Images | None = Field(None, description="Columns that hold the row before and after the change.")
    ignore_null_updates: bool | None = Field(
        None, description="A change need not have all columns: what is NULL in it keeps the value before it."
    )
    tombstone_retention: Duration | None = Field(
        None,
        description="For how long a deletion is remembered, so that an older change which comes later stays dead. Left "
        "out: for ever. Maintenance forgets.",
    )
    track: list[str] | None = Field(
        None,
        description="With `load: scd2`: the columns whose changes begin a version; left out: all but `keys`, "
        "`sequence_by` and what is looked up.",
    )
    partition_by: list[str] = Field([], description="The columns that partition the table.")
    cluster_by: list[str] = Field(
        [], description="The columns, four at most, that maintenance clusters the table by, instead of partitions."
    )
    schema_: SchemaPolicy = Field(
        "evolve",
        alias="schema",
        description="What happens to new columns and wider types: `evolve` takes them, `enforce` fails: see "
        "[When a source's columns change](schema.md).",
    )
    profile: bool = Field(
        False, description="Whether a step after each load measures the table's columns and keeps it in `ops/profiles`."
    )

    @property
    def masked(self) -> tuple[str, ...]:
        """The columns whose values are shown nowhere."""
        return tuple(name for name, column in (self.columns or {}).items() if column.mask)

    @property
    def joined(self) -> tuple[str, ...]:
        """The tables that `sql` reads besides its batch, such as `silver.airlines`, each once."""
        if self.sql is None:
            return ()
        from airflow_ingest.config.batch_sql import parse_batch_query

        return parse_batch_query(self.sql).tables

    @property
    def by_key(self) -> bool:
        """Whether a batch's rows go in by their keys; otherwise they take the place of other rows."""
        return self.load in ("insert", "merge", "scd2")

    @property
    def soft(self) -> bool:
        """Whether a deleted row stays, with `_deleted_at`."""
        return self.load == "merge" and self.deletes == "soft"

    @property
    def partial(self) -> bool:
        """Whether a change need not have all values of its row."""
        return self.load in ("merge", "scd2") and bool(self.ignore_null_updates)

    @property
    def worked_out(self) -> bool:
        """Whether rows follow from more than the newest change of their key."""
        return self.load == "scd2" or self.soft or self.partial

    @property
    def deleting(self) -> bool:
        """Whether some rows are the deletion of their key."""
        return self.delete_when is not None or bool(self.operations and self.operations.delete)

    @model_validator(mode="before")
    @classmethod
    def _take_star(cls, value: Any) -> Any:
        columns = value.get("columns") if isinstance(value, dict) else None
        if not isinstance(columns, dict) or columns.get("*") != "keep":
            return value
        named = {name: column for name, column in columns.items() if name != "*"}
        return {**value, "columns": named, KEEP_OTHERS: True}


class Table(Block):
    """One dataset on its way from a source through bronze to silver."""

    model_config = ConfigDict(title="Table")

    source: Source = Field(description="Where the rows come from.")
    extract: Extract = Field(Extract(), description="How much of the source one run takes.")
    sla: Sla | None = Field(None, description="By when this table has to be there.")
    wait: Wait | None = Field(None, description="A sensor before the load.")
    bronze: Bronze = Field(Bronze(), description="The rows as they came.")
    silver: Silver | None = Field(None, description="The cleaned table. Left out: the table stops at bronze.")
    quality: Quality = Field(Quality(), description="What a batch must look like before it is published.")

    @property
    def gated(self) -> bool:
        """Whether a gate judges its batches: one that stops at bronze needs rules for that, or a limit."""
        return self.silver is not None or bool(self.quality.rules) or self.quality.max_reject_rate is not None

    @property
    def looked_up(self) -> tuple[str, ...]:
        """The tables of the pipeline whose silver this one reads, each once: by lookups, its SQL or its rules."""
        columns = (self.silver.columns if self.silver else None) or {}
        found = [column.lookup.table for column in columns.values() if column.lookup]
        found += self.silver.joined if self.silver else ()
        found += [rule.relationships.table for rule in self.quality.rules if isinstance(rule, RelationshipsRule)]
        return tuple(dict.fromkeys(table.partition(".")[2] for table in found))
