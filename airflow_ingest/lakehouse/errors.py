"""What can go wrong with data.

IngestError
└── LakehouseError          a load failed
    ├── SourceNotFound      nothing is where the source should be
    ├── SourceUnreadable    a file is there, and not one row can be made of it
    ├── SchemaMismatch      columns are missing, unknown or of another type
    ├── TransformError      the pipeline's own function or SQL is not there, or does not do what it should
    ├── TableOwnedByOther   another pipeline writes this table
    ├── RulesBroken         a gold table's new rows break a rule of severity error
    ├── ConflictError       another writer's commits came first, again and again
    ├── TypesWidened        a table has got wider types, and the step is to be planned again: not a failure
    ├── NothingToLoad       the run has no business with this table: not a failure
    └── ReconciliationError rows read and rows settled differ
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_ingest.config.errors import IngestError

if TYPE_CHECKING:
    from airflow_ingest.lakehouse.model import RuleResult


class LakehouseError(IngestError):
    """A load failed; nothing of it was published."""


class SourceNotFound(LakehouseError):
    """No file is where the source should be."""


class SourceUnreadable(LakehouseError):
    """A file is there, but no row can be made of it."""


class SchemaMismatch(LakehouseError):
    """Columns are missing, unknown or of another type than the table's."""


class TransformError(LakehouseError):
    """The function that `silver.transform` names is not there, fails, or loses columns; or `silver.sql` fails."""


class TableOwnedByOther(LakehouseError):
    """Another pipeline writes this table."""


class RulesBroken(LakehouseError):
    """A gold table's new rows break a rule of severity error; `rules` are the outcomes of all of them."""

    def __init__(self, message: str, rules: tuple[RuleResult, ...]) -> None:
        super().__init__(message)
        self.rules = rules


class ConflictError(LakehouseError):
    """Another writer's commits came first, again and again."""


class TypesWidened(LakehouseError):
    """A table has got the wider types that a load has for it; the load is to be planned again."""


class NothingToLoad(LakehouseError):
    """A run should leave a table as it is, for the reason given; its step skips itself."""


class ReconciliationError(LakehouseError):
    """The rows read and the rows accounted for differ: a defect, never to be passed over."""
