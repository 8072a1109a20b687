"""Which failures are worth another try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from airflow_ingest.config import ConfigError
from airflow_ingest.lakehouse import ReconciliationError, SchemaMismatch, TableOwnedByOther, TransformError

if TYPE_CHECKING:
    from airflow.sdk import Context

_HOPELESS = (ConfigError, ReconciliationError, SchemaMismatch, TableOwnedByOther, TransformError)
_MISTAKES_IN_SQL = {"AnalysisException", "ParseException"}


class LoadRetryPolicy(RetryPolicy):
    """Fails at once where another try ends the same: mistakes in the configuration, in SQL or in a schema.

    Everything else (a file that is not there yet, a lost connection, a conflict with another writer) is left to the
    task's own `retries`, `retry_delay` and `retry_exponential_backoff`.
    """

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Whether to fail now."""
        if isinstance(exception, _HOPELESS) or is_mistake_in_sql(exception):
            return RetryDecision.fail(f"{type(exception).__name__}: another try would end the same")
        return RetryDecision.default()

    def is_last(self, exception: BaseException, try_number: int, max_tries: int) -> bool:
        """Whether no try follows after `exception`."""
        return try_number > max_tries or self.evaluate(exception, try_number, max_tries) != RetryDecision.default()


def is_mistake_in_sql(exception: BaseException) -> bool:
    """Whether Spark could not make sense of a query; a table that is not there may yet come."""
    from airflow_ingest.lakehouse.log import is_missing_table

    kinds = {kind.__name__ for kind in type(exception).__mro__}
    return bool(kinds & _MISTAKES_IN_SQL) and isinstance(exception, Exception) and not is_missing_table(exception)


RETRIES = LoadRetryPolicy()
