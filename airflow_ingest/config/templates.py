"""Jinja in `source.files`: what it may name, whether it is well formed, and how it is rendered without Airflow."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from airflow_ingest.config.errors import IngestError
from airflow_ingest.config.values import nearest, quote, words

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

INTERVAL_NAMES = ("data_interval_end", "data_interval_start", "ds", "ds_nodash", "ts", "ts_nodash")
_INTERVAL_NAME = re.compile(rf"\{{\{{\s*(?:{'|'.join(INTERVAL_NAMES)})\s*\}}\}}")
# What Airflow's task context offers beside the interval (airflow.sdk.Context); the command line has none of it.
_AIRFLOW_NAMES = words(
    "conf conn dag dag_run inlet_events inlets logical_date macros map_index_template outlet_events outlets "
    "params prev_data_interval_end_success prev_data_interval_start_success prev_end_date_success "
    "prev_start_date_success run_id start_date task task_instance task_instance_key_str task_reschedule_count "
    "templates_dict test_mode ti triggering_asset_events ts_nodash_with_tz try_number var"
)
_FORMATS = {
    "ds": "%Y-%m-%d",
    "ds_nodash": "%Y%m%d",
    "ts_nodash": "%Y%m%dT%H%M%S",
    "ts_nodash_with_tz": "%Y%m%dT%H%M%S%z",
}


class TemplateError(IngestError):
    """A template that cannot be rendered."""


def interval_variables(start: datetime, end: datetime) -> dict[str, Any]:
    """Return the template variables of a data interval, named and written as Airflow's.

    :param start: the interval's start, aware.
    :param end: the interval's end, aware.
    """
    import pendulum

    return {
        "data_interval_start": pendulum.instance(start),
        "data_interval_end": pendulum.instance(end),
        "ds": start.strftime("%Y-%m-%d"),
        "ds_nodash": start.strftime("%Y%m%d"),
        "ts": start.isoformat(),
        "ts_nodash": start.strftime("%Y%m%dT%H%M%S"),
    }


def render(template: str, start: datetime, end: datetime) -> str:
    """Render a template for a data interval, without Airflow.

    :raises TemplateError: if it is malformed or names something that only a running Airflow task has.
    """
    if "{{" not in template and "{%" not in template:
        return template
    import jinja2

    try:
        return _environment().from_string(template).render(interval_variables(start, end))
    except jinja2.TemplateError as error:
        hint = f"Without Airflow a template can use {', '.join(INTERVAL_NAMES)}."
        raise TemplateError(f"{quote(template)} cannot be rendered: {error.message}. {hint}") from None


def template_problem(template: str) -> tuple[str, str] | None:
    """Return what is wrong with a template and a hint, or None if it is well formed."""
    rest = _INTERVAL_NAME.sub("", template)
    return _problem(template) if "{" in rest or "}" in rest else None


@lru_cache(maxsize=4096)
def _problem(template: str) -> tuple[str, str] | None:
    from jinja2 import TemplateSyntaxError, meta

    environment = _environment()
    try:
        environment.compile(template)
        names = meta.find_undeclared_variables(environment.parse(template))
    except TemplateSyntaxError as error:
        return f"not valid Jinja: {(error.message or '').rstrip('.')}", "Write {{ name }}, as in {{ ds }}."
    known = {*INTERVAL_NAMES, *_AIRFLOW_NAMES}
    unknown = sorted(names - known)
    if not unknown:
        return None
    hint = nearest(unknown[0], INTERVAL_NAMES) or f"The run's interval gives {', '.join(INTERVAL_NAMES)}."
    return f"{{{{ {unknown[0]} }}}} is not a variable of Airflow", hint


@lru_cache(maxsize=1)
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    for name, pattern in _FORMATS.items():
        environment.filters[name] = lambda value, pattern=pattern: value.strftime(pattern)
    environment.filters["ts"] = lambda value: value.isoformat()
    return environment
