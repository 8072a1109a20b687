"""Arguments of Airflow's DAG and BaseOperator that the blocks `dag` and `task` do not take: why, and what to write."""

from __future__ import annotations

Refusal = tuple[str, str]


def _alike(reason: str, hint: str, *names: str) -> dict[str, Refusal]:
    return dict.fromkeys(names, (reason, hint))


def _key(**keys: str) -> dict[str, Refusal]:
    reason = "has a key of its own in this language"
    return {name: (reason, f"Write it as {key}.") for name, key in keys.items()}


_GRAPH = "is set by the pipeline's graph"
_PYTHON = "takes a Python object, which a YAML file cannot hold"
_GONE = "is gone from Airflow 3"

REFUSED: dict[str, dict[str, Refusal]] = {
    "dag": {
        **_key(
            catchup="the key catchup",
            dag_id="the key pipeline",
            default_args="the block task",
            description="the key description",
            max_active_runs="the key max_active_runs",
            schedule="the key schedule",
            start_date="the key start_date",
            tags="the key tags",
        ),
        **_alike(_GRAPH, "Remove it.", "auto_register", "task_group"),
        **_alike(_PYTHON, "Remove it.", "template_undefined", "user_defined_filters", "user_defined_macros"),
        **_alike(_PYTHON, "Use alerts.", "on_failure_callback", "on_success_callback"),
        **_alike(_PYTHON, "Use sla.", "deadline"),
        **_alike(_GONE, "Use sla.", "sla_miss_callback"),
    },
    "task": {
        **_key(
            max_retry_delay="retries: {max_delay: 10m}",
            owner="the key owner",
            retries="retries: {attempts: 3}",
            retry_delay="retries: {delay: 30s}",
            start_date="the key start_date",
        ),
        **_alike(_GRAPH, "Remove it.", "dag", "default_args", "do_xcom_push", "inlets", "multiple_outputs", "outlets"),
        **_alike(_GRAPH, "Remove it.", "task_display_name", "task_group", "task_id", "trigger_rule"),
        **_alike(_GRAPH, "A task that writes a table never runs twice at the same time.", "max_active_tis_per_dag"),
        **_alike(_GRAPH, "The delay doubles, up to retries.max_delay.", "retry_exponential_backoff"),
        **_alike(_PYTHON, "Remove it.", "post_execute", "pre_execute", "retry_policy"),
        **_alike(_PYTHON, "Use alerts.", "on_execute_callback", "on_failure_callback", "on_retry_callback"),
        **_alike(_PYTHON, "Use alerts.", "on_skipped_callback", "on_success_callback"),
        **_alike(_GONE, "Use alerts.", "email", "email_on_failure", "email_on_retry"),
        **_alike(_GONE, "Use sla.", "sla"),
    },
}
