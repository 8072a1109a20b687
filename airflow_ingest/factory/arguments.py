"""The blocks `dag` and `task`: further arguments of Airflow's own, checked against Airflow's own signatures."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias
from zoneinfo import ZoneInfo

from airflow.sdk import DAG, BaseOperator
from pydantic_core import PydanticCustomError

from airflow_ingest.config import parse_duration
from airflow_ingest.config._yaml import compose
from airflow_ingest.config.report import Report
from airflow_ingest.config.values import nearest, quote, wrong
from airflow_ingest.factory.refused import REFUSED

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline

Problem: TypeAlias = tuple[tuple[str | int, ...], str, str]  # the key's path, what is wrong, what to write instead


def airflow_arguments(pipeline: Pipeline, file: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the blocks `dag` and `task` add to the DAG's and to every task's arguments.

    Raises ConfigError with every mistake in them, at its place in `file`.
    """
    if not pipeline.dag and not pipeline.task:
        return {}, {}
    problems: list[Problem] = []
    dag = _checked("dag", DAG, pipeline.dag, pipeline.timezone, problems)
    task = _checked("task", BaseOperator, pipeline.task, pipeline.timezone, problems)
    if problems:
        refuse(file, problems)
    return dag, task


def refuse(file: str, problems: Iterable[Problem]) -> NoReturn:
    """Raise ConfigError with these problems, at their places in `file` if it can be read."""
    source = Path(file)
    text = source.read_text(encoding="utf-8-sig") if source.is_file() else ""
    report = Report(file, text, compose(text) if text else None)
    for path, problem, hint in problems:
        report.add(path, problem, hint, at_key=True)
    report.check()
    raise AssertionError("refuse() was given no problem")


def _checked(block: str, taker: type, given: Mapping[str, Any], zone: str, problems: list[Problem]) -> dict[str, Any]:
    kinds = _kinds(taker)
    arguments: dict[str, Any] = {}
    for name, value in given.items():
        if name in REFUSED[block]:
            reason, hint = REFUSED[block][name]
            problems.append(((block, name), f"{name} {reason}", hint))
        elif name not in kinds:
            hint = nearest(name, sorted(kinds.keys() - REFUSED[block].keys()))
            problems.append(((block, name), f"Airflow's {taker.__name__} has no argument {quote(name)}", hint))
        else:
            try:
                arguments[name] = _convert(value, kinds[name], zone)
            except PydanticCustomError as error:
                context = error.context or {}
                problems.append(((block, name), context["problem"], context["hint"]))
    return arguments


@lru_cache(maxsize=2)
def _kinds(taker: type) -> dict[str, str]:
    """The arguments that a class takes, with their annotations."""
    parameters = inspect.signature(taker.__init__).parameters.values()  # type: ignore[misc]
    written = getattr(taker, "__annotations__", {})
    return {
        parameter.name: str(written.get(parameter.name, parameter.annotation))
        for parameter in parameters
        if parameter.name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


_SCALARS: dict[str, tuple[type, str]] = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "str": (str, "a text"),
}


def _convert(value: Any, annotation: str, zone: str) -> Any:
    """`value` as Airflow wants it: durations and dates in their types, scalars checked."""
    first = annotation.split(" | ")[0]
    if value is None and annotation.endswith("None"):
        return None
    if first == "timedelta":
        return parse_duration(value)
    if first == "datetime":
        return _moment(value, zone)
    if first in _SCALARS and annotation in (first, f"{first} | None"):
        kind, words = _SCALARS[first]
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise wrong(f"must be {words}, not {quote(value)}")
        return kind(value)
    return value


def _moment(value: Any, zone: str) -> datetime:
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if not isinstance(value, datetime):
        raise wrong(f"{quote(value)} is not a date", "Write a day or a time that exists: 2013-01-31, 2013-01-31T06:00.")
    return value if value.tzinfo else value.replace(tzinfo=ZoneInfo(zone))
