"""The quality rules: one small class per kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from airflow_ingest.config.block import Block
from airflow_ingest.config.values import Bound, Duration, Rate, Scalar, quote, wrong

Severity = Literal["error", "warning", "info"]


class Rule(Block):
    """What every rule has. `kind` is its key in the language, `scope` says whether it looks at a row or at a batch."""

    kind: ClassVar[str]
    scope: ClassVar[Literal["row", "batch"]]

    name: str = Field("", description="What reports call the rule. Left out: made from its kind and columns.")
    severity: Severity = Field(
        "error",
        description="`error`: the row goes to the dead letters, or the batch is held. "
        "`warning` and `info`: counted and reported.",
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the rule names (an expression's own columns are not among them)."""
        return ()

    @property
    def title(self) -> str:
        """The name that a rule gets where the file gives none."""
        return f"{self.kind}({', '.join(self.columns)})"


class RowRule(Rule):
    """A rule that every row meets or not."""

    scope = "row"


class BatchRule(Rule):
    """A rule over a batch as a whole."""

    scope = "batch"

    of: Literal["all", "accepted"] = Field(
        "accepted", description="Which rows it looks at: `all` of the batch, or those that no row rule rejected."
    )


class AcceptedValues(Block):
    """A column and the values that it may have."""

    column: str = Field(description="The column.")
    values: list[Scalar] = Field(min_length=1, description="The values that are allowed.")


class Range(Block):
    """A column and its bounds, both included."""

    column: str = Field(description="The column.")
    min: Bound | None = Field(None, description="The least value that is allowed.")
    max: Bound | None = Field(None, description="The greatest value that is allowed.")


class Pattern(Block):
    """A column and the regular expression that it must match."""

    column: str = Field(description="The column.")
    regex: str = Field(description="A Java regular expression; it may match anywhere unless it has `^` and `$`.")


class Relationship(Block):
    """A column whose values must exist in another table."""

    column: str = Field(description="The column.")
    table: str = Field(
        description="Another table of the pipeline, `silver.<table>`, which is loaded first. Its rows count as "
        "they are when the gate looks, but for those that are deleted or, of versions, valid no more."
    )
    key: str = Field(description="The other table's column.")


class ColumnRate(Block):
    """A column and the share of its rows that may fail."""

    column: str = Field(description="The column.")
    max: Rate = Field(description="The greatest share that is allowed.")


class ColumnsRate(Block):
    """Columns and the share of rows that may repeat another row in them."""

    columns: list[str] = Field(min_length=1, description="The columns that make a row unique together.")
    max: Rate = Field(description="The greatest share that is allowed.")


class RowCount(Block):
    """How many rows a batch has, both bounds included."""

    min: int | None = Field(None, ge=0, description="The least number of rows.")
    max: int | None = Field(None, ge=0, description="The greatest number of rows.")


class Freshness(Block):
    """How old the newest value of a column may be."""

    column: str = Field(description="A date or timestamp column.")
    max_age: Duration = Field(
        description="How far its newest value may lie before the end of the batch's interval (before now, without one)."
    )


class Drift(Block):
    """A metric that is compared with its own past."""

    metric: str = Field(description="`row_count`, or an aggregate over the rows, such as `avg(amount)`.")
    runs: int = Field(
        14, ge=2, description="With how many earlier batches it is compared; with fewer than two it holds."
    )
    sigmas: float = Field(3, gt=0, description="How many standard deviations it may lie off.")


class ExpectRule(RowRule):
    """A condition that must be true for every row; NULL fails."""

    kind = "expect"
    expect: str = Field(description="A Spark SQL condition over one row.")

    @property
    def title(self) -> str:
        return f"expect({self.expect})"


class AcceptedValuesRule(RowRule):
    """A column has one of the listed values, or NULL."""

    kind = "accepted_values"
    accepted_values: AcceptedValues = Field(description="The column and its values.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.accepted_values.column,)


class RangeRule(RowRule):
    """A column lies between two bounds, or is NULL."""

    kind = "range"
    range: Range = Field(description="The column and its bounds.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.range.column,)


class PatternRule(RowRule):
    """A column matches a regular expression, or is NULL."""

    kind = "pattern"
    pattern: Pattern = Field(description="The column and its expression.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.pattern.column,)


class RelationshipsRule(RowRule):
    """A column's value exists in another table, or is NULL."""

    kind = "relationships"
    relationships: Relationship = Field(description="The column and where its values must exist.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.relationships.column,)


class NullRateRule(BatchRule):
    """At most this share of a column is NULL."""

    kind = "null_rate"
    null_rate: ColumnRate = Field(description="The column and the share.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.null_rate.column,)


class UniqueRule(BatchRule):
    """No two rows of the batch agree in these columns."""

    kind = "unique"
    unique: list[str] = Field(min_length=1, description="The columns.")

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.unique)


class DuplicateRateRule(BatchRule):
    """At most this share of the rows repeats another row in these columns."""

    kind = "duplicate_rate"
    duplicate_rate: ColumnsRate = Field(description="The columns and the share.")

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.duplicate_rate.columns)


class RowCountRule(BatchRule):
    """The batch has so many rows."""

    kind = "row_count"
    row_count: RowCount = Field(description="The bounds.")

    @property
    def title(self) -> str:
        return "row_count"


class FreshnessRule(BatchRule):
    """The newest value of a column is recent enough."""

    kind = "freshness"
    freshness: Freshness = Field(description="The column and the age.")

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.freshness.column,)


class DriftRule(BatchRule):
    """A metric stays near its mean over the last batches that were not held."""

    kind = "drift"
    drift: Drift = Field(description="The metric and how far it may drift.")

    @property
    def title(self) -> str:
        return f"drift({self.drift.metric})"


class SqlRule(BatchRule):
    """A query over the relation `batch` gives true. One that only aggregates costs no pass of its own."""

    kind = "sql"
    sql: str = Field(description="The query; it gives one value. NULL is not true.")

    @property
    def title(self) -> str:
        return "sql"


RULES: dict[str, type[Rule]] = {
    rule.kind: rule
    for rule in (
        ExpectRule,
        AcceptedValuesRule,
        RangeRule,
        PatternRule,
        RelationshipsRule,
        NullRateRule,
        UniqueRule,
        DuplicateRateRule,
        RowCountRule,
        FreshnessRule,
        DriftRule,
        SqlRule,
    )
}


KEYS_OF_ALL = frozenset(BatchRule.model_fields)
"""The keys that stand beside a rule's kind."""


def kind_of(rule: Any) -> str | None:
    """Return which kind of rule a mapping is, or None where it is none or several."""
    if isinstance(rule, Rule):
        return f"@{rule.kind}"
    kinds = rule.keys() & RULES.keys() if isinstance(rule, dict) else ()
    return f"@{next(iter(kinds))}" if len(kinds) == 1 else None


AnyRule = Annotated[
    Annotated[ExpectRule, Tag("@expect")]
    | Annotated[AcceptedValuesRule, Tag("@accepted_values")]
    | Annotated[RangeRule, Tag("@range")]
    | Annotated[PatternRule, Tag("@pattern")]
    | Annotated[RelationshipsRule, Tag("@relationships")]
    | Annotated[NullRateRule, Tag("@null_rate")]
    | Annotated[UniqueRule, Tag("@unique")]
    | Annotated[DuplicateRateRule, Tag("@duplicate_rate")]
    | Annotated[RowCountRule, Tag("@row_count")]
    | Annotated[FreshnessRule, Tag("@freshness")]
    | Annotated[DriftRule, Tag("@drift")]
    | Annotated[SqlRule, Tag("@sql")],
    Discriminator(kind_of),
]


class Quality(Block):
    """What a batch must look like before it is published."""

    max_reject_rate: Rate | None = Field(
        None, description="More rejected rows than this share and the batch is held. Left out: no limit."
    )
    alert_reject_rate: Rate = Field(0.05, description="More rejected rows than this share and people are warned.")
    min_pass_rate: Rate = Field(
        0.9,
        description="Fewer rows than this share that are accepted and break no rule of severity `warning` either, and "
        "people are warned.",
    )
    packs: list[str] = Field(
        [],
        description="Packs of rules from `rule_packs`, or of an installed package. A rule below takes the place of one "
        "of theirs that has its name.",
    )
    rules: list[AnyRule] = Field([], description="The rules, in the order in which reports list them.")

    @field_validator("rules")
    @classmethod
    def _name_rules(cls, rules: list[Rule]) -> list[Rule]:
        taken = {rule.name for rule in rules if rule.name}
        given = [rule.name for rule in rules if rule.name]
        if len(taken) < len(given):
            twice = next(name for name in given if given.count(name) > 1)
            raise wrong(f"two rules are named {quote(twice)}", "Reports tell rules apart by their names.")
        return [rule if rule.name else rule.model_copy(update={"name": free_name(rule.title, taken)}) for rule in rules]


def free_name(title: str, taken: set[str]) -> str:
    """`title`, with a number where it is among `taken`, which then has it."""
    name = next(name for name in _numbered(title) if name not in taken)
    taken.add(name)
    return name


def _numbered(title: str) -> Iterator[str]:
    yield title
    number = 2
    while True:
        yield f"{title} #{number}"
        number += 1
