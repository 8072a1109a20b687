"""What a log line is about: fields that stand on every line a task writes from then on, whoever writes it.

In a task's log file, one line of JSON each, they stand beside Airflow's own `dag_id`, `task_id` and `run_id`.
"""

from __future__ import annotations

from structlog.contextvars import bind_contextvars


def name_in_logs(
    *, pipeline: str | None = None, table: str | None = None, batch_id: str | None = None, run_id: str | None = None
) -> None:
    """Put these on the lines to come; what is None stays as it is."""
    fields = {"pipeline": pipeline, "table": table, "batch_id": batch_id, "run_id": run_id}
    bind_contextvars(**{name: value for name, value in fields.items() if value is not None})
