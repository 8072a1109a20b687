"""Rejected rows, tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_ingest import _metrics
from airflow_ingest._context import run_info
from airflow_ingest.operators._base import LakehouseOperator
from airflow_ingest.operators._results import describe_replay
from airflow_ingest.operators._spec import Spec, table_spec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_ingest.config import Table
    from airflow_ingest.operators._lineage import Lineage


class DlqReplayOperator(LakehouseOperator):
    """Put the rejected rows of a table through today's configuration again, optionally with a fix.

    Returns what became of them. All arguments below are templated, so that a DAG's params can fill them; give that DAG
    `render_template_as_native_obj=True`, so that numbers stay numbers.

    :param spec: the table, as for `BronzeIngestOperator`
    :param rule: only rows that this rule rejected
    :param since: only rows rejected since then: a datetime, or ISO 8601
    :param ids: only rows with these ids, or beginnings of ids
    :param limit: at most so many rows
    :param batch_size: how many rows go into silver in one commit; a retry goes on where the attempt before it was
    :param preview: a dry run: tell what would happen, and change nothing
    :param fix: Spark SQL expressions that replace columns of the rejected rows, by column
    """

    template_fields: Sequence[str] = ("lake", "rule", "since", "ids", "limit", "batch_size", "preview", "fix")
    _replayed: int | None = None

    def __init__(
        self,
        *,
        spec: Spec[Table] | Table | Mapping[str, Any],
        rule: str | None = None,
        since: datetime | str | None = None,
        ids: Sequence[str] | str = (),
        limit: int | str | None = None,
        batch_size: int | str = 10_000,
        preview: bool | str = False,
        fix: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = table_spec(spec, self.table)
        self.rule = rule
        self.since = since
        self.ids = ids
        self.limit = limit
        self.batch_size = batch_size
        self.preview = preview
        self.fix = fix

    def execute(self, context: Context) -> dict[str, Any]:
        """Replay, and return the result; raises a ValueError for an argument that was rendered into nonsense."""
        from pydantic import NonNegativeInt, PositiveInt, TypeAdapter

        from airflow_ingest.lakehouse import replay_dlq

        since = TypeAdapter(datetime | None).validate_python(self.since or None)
        limit = TypeAdapter(NonNegativeInt | None).validate_python(self.limit or None)
        batch_size = TypeAdapter(PositiveInt).validate_python(self.batch_size)
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
                ids=[self.ids] if isinstance(self.ids, str) and self.ids else self.ids,
                limit=limit,
                batch_size=batch_size,
                dry_run=preview,
                fix=self.fix or None,
                progress=lambda so_far: self.log.info(describe_replay(so_far)),
            )
        self._replayed = None if preview else result.replayed
        self.log.info(describe_replay(result))
        _metrics.letters_replayed(run.pipeline, result)
        return dict(result.to_dict())

    def lineage(self) -> Lineage:
        """From the dead letters into silver, unless it was a preview."""
        from airflow_ingest.operators._lineage import Dataset, Lineage, table_name

        lake = self.own_lake
        silver = Dataset(table_name(lake, f"silver.{self.table}"), rows=self._replayed)
        letters = Dataset(table_name(lake, f"dlq.{self.table}"))
        return Lineage(lake, [letters], [] if self._replayed is None else [silver])
