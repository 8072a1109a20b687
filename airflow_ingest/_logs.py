"""What a log line is about: fields that stand on every line a task writes from then on, whoever writes it.

In a task's log file, one line of JSON each, they stand beside Airflow's own `dag_id`, `task_id` and `run_id`.
"""

from __future__ import annotations

from structlog.contextvars import bind_contextvars, unbind_contextvars


def name_task_in_logs(*, pipeline: str, run_id: str, table: str | None = None) -> None:
    """A task begins: put these on the lines to come, and nothing of what was put there before."""
    unbind_contextvars("table", "batch_id")
    bind_contextvars(pipeline=pipeline, run_id=run_id)
    name_in_logs(table=table)


def name_in_logs(*, table: str | None = None, batch_id: str | None = None) -> None:
    """Put these on the lines to come; what is None stays as it is."""
    fields = {"table": table, "batch_id": batch_id}
    bind_contextvars(**{name: value for name, value in fields.items() if value is not None})
