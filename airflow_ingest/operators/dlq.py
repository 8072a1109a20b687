"""Rejected rows, tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator
from airflow_ingest.operators._spec import Spec, table_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table


class DlqReplayOperator(LakehouseOperator):
    """Put the rejected rows of a table through today's configuration again, optionally with a fix.

    Returns what became of them. All arguments below are templated, so that a DAG's params can fill them; give that DAG
    `render_template_as_native_obj=True`, so that numbers stay numbers.

    :param spec: the table, as for `BronzeIngestOperator`
    :param rule: only rows that this rule rejected
    :param since: only rows rejected since then: a datetime, or ISO 8601
    :param limit: at most so many rows
    :param preview: a dry run: tell what would happen, and change nothing
    :param fix: Spark SQL expressions that replace columns of the rejected rows, by column
    """

    template_fields: Sequence[str] = ("lake", "rule", "since", "limit", "preview", "fix")

    def __init__(
        self,
        *,
        spec: Spec[Table] | Table | Mapping[str, Any],
        rule: str | None = None,
        since: datetime | str | None = None,
        limit: int | str | None = None,
        preview: bool | str = False,
        fix: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = table_spec(spec, self.table)
        self.rule = rule
        self.since = since
        self.limit = limit
        self.preview = preview
        self.fix = fix

    def execute(self, context: Context) -> dict[str, Any]:
        """Replay, and return the result; raises a ValueError for an argument that was rendered into nonsense."""
        from pydantic import NonNegativeInt, TypeAdapter

        from airflow_ingest.lakehouse import replay_dlq

        since = TypeAdapter(datetime | None).validate_python(self.since or None)
        limit = TypeAdapter(NonNegativeInt | None).validate_python(self.limit or None)
        preview = TypeAdapter(bool).validate_python(self.preview)
        run = run_info(context, self.pipeline)
        with self.spark(context, run) as spark:
            result = replay_dlq(
                spark,
                self.lake_of(run),
                self.table,
                self.spec.model,
                run,
                rule=self.rule or None,
                since=since,
                limit=limit,
                dry_run=preview,
                fix=self.fix or None,
            )
        self.log.info("%s", result)
        return dict(result.to_dict())
