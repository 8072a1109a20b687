"""Text → Pipeline."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from airflow_ingest.config import _yaml
from airflow_ingest.config.block import Block
from airflow_ingest.config.checks import check_gold, check_pipeline, check_table
from airflow_ingest.config.env import expand
from airflow_ingest.config.errors import ConfigError, Mistake
from airflow_ingest.config.gold import Gold
from airflow_ingest.config.messages import report_errors
from airflow_ingest.config.packs import with_rules, with_table_rules
from airflow_ingest.config.pipeline import Pipeline
from airflow_ingest.config.report import Report
from airflow_ingest.config.table import Table
from airflow_ingest.config.values import KeyPath, quote

Model = TypeVar("Model", bound=Block)


def load_pipeline(path: Path | str, *, env: Mapping[str, str] | None = None) -> Pipeline:
    """Read and check a pipeline file.

    :param path: the YAML file; its stem is the pipeline's name.
    :param env: the environment variables that `${NAME}` may name; the process's own by default.
    :raises ConfigError: with every mistake of the file.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([Mistake(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from None
    return parse_pipeline(_decode(content, str(path)), file=str(path), env=env)


def parse_pipeline(text: str, *, file: str, env: Mapping[str, str] | None = None, served: bool = True) -> Pipeline:
    """Check a pipeline that is at hand as text.

    :param text: the YAML text.
    :param file: the name that messages give to it; its stem is the pipeline's required name.
    :param env: the environment variables that `${NAME}` may name; the process's own by default.
    :param served: whether parts of the language that this version does not serve yet are mistakes.
    :raises ConfigError: with every mistake of the text.
    """
    stem = Path(file).stem
    root = _compose(text, file)
    report = Report(file, text, root, served=served)
    if root is None:
        report.add_at(1, 1, (), "the file is empty", f"Begin with  pipeline: {stem}")
        report.check()
    data = _construct(root, report)
    if not isinstance(data, dict):
        report.add((), f"a pipeline is a mapping of keys, not {quote(data)}", f"Begin with  pipeline: {stem}")
        report.check()
    if "${" in text:
        data = expand(data, os.environ if env is None else env, report)
    if data.get("defaults"):
        data = _with_defaults(data)
    data = with_rules(data, report)
    check_pipeline(data, report, stem)
    return _validate(Pipeline, data, report)


def parse_table(spec: Mapping[str, Any], *, name: str = "table") -> Table:
    """Check one table's keys, given as plain data.

    :param spec: the table as a pipeline file would have it under `tables.<name>`.
    :param name: what messages call it.
    :raises ConfigError: with every mistake; its mistakes have no line.
    """
    report = Report(name)
    data = with_table_rules(dict(spec), (), report)
    if data.get("sla"):
        report.add(("sla",), "a table on its own has no runs that could be late", "Give your DAG a DeadlineAlert.")
    check_table(data, (), report)
    return _validate(Table, data, report)


def parse_gold(spec: Mapping[str, Any], *, name: str = "gold") -> Gold:
    """Check one gold table's keys, given as plain data.

    :param spec: the gold table as a pipeline file would have it under `gold.<name>`.
    :param name: what messages call it.
    :raises ConfigError: with every mistake; its mistakes have no line.
    """
    report = Report(name)
    data = with_table_rules(dict(spec), (), report)
    check_gold(data, (), report, None)
    return _validate(Gold, data, report)


def _validate(model: type[Model], data: dict[str, Any], report: Report) -> Model:
    try:
        result = model.model_validate(data)
    except ValidationError as error:
        report_errors(error, model, report)
        report.check()
        raise
    report.check()
    return result


def _compose(text: str, file: str) -> yaml.Node | None:
    try:
        return _yaml.compose(text)
    except yaml.YAMLError as error:
        line, column, problem, hint = _yaml.explain(error, text)
        raise ConfigError([Mistake(file, line, column, "", problem, hint)]) from None
    except UnicodeEncodeError as error:
        line, column = _yaml.place(text, error.start)
        raise ConfigError([Mistake(file, line, column, "", "half of a character stands here", "Remove it.")]) from None


def _construct(root: yaml.Node | None, report: Report) -> Any:
    def complain(node: yaml.Node, path: KeyPath, problem: str, hint: str) -> None:
        report.add_node(node, path, problem, hint)

    assert root is not None
    return _yaml.construct(root, complain)


def _with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    defaults, tables = data["defaults"], data.get("tables")
    if not isinstance(defaults, dict) or not isinstance(tables, dict):
        return data
    return {**data, "tables": {name: _merge(defaults, table) for name, table in tables.items()}}


def _merge(defaults: Any, own: Any) -> Any:
    if not isinstance(defaults, dict) or not isinstance(own, dict):
        return own
    merged = {key: _merge(defaults[key], value) if key in defaults else value for key, value in own.items()}
    return {**{key: value for key, value in defaults.items() if key not in own}, **merged}


def _decode(content: bytes, file: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        problem = f"the file is not UTF-8: byte 0x{content[error.start]:02x}"
        raise ConfigError([Mistake(file, line, column, "", problem, "Save it as UTF-8.")]) from None
