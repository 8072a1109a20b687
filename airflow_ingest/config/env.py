"""Environment variables in configurations: `${NAME}` and `${NAME:-default}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_ingest.config.report import Report
from airflow_ingest.config.values import Expanded, KeyPath

_VARIABLE = re.compile(r"\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*(?:\{\{.*?\}\}[^{}]*)*))?\}|)")
_LITERAL = frozenset({"description", "owner", "tags"})
_FREE = frozenset({"dag", "task"})


def expand(data: dict[str, Any], env: Mapping[str, str], report: Report) -> dict[str, Any]:
    """Return `data` with the variables in its texts replaced; description, owner and tags stay as they are."""
    seen: dict[int, Any] = {}

    def walk(value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            return _expand_text(value, env, report, path) if "${" in value else value
        if not isinstance(value, dict | list):
            return value
        if id(value) not in seen:
            seen[id(value)] = (
                {key: walk(item, (*path, key)) for key, item in value.items()}
                if isinstance(value, dict)
                else [walk(item, (*path, index)) for index, item in enumerate(value)]
            )
        return seen[id(value)]

    return {key: value if key in _LITERAL else walk(value, (key,)) for key, value in data.items()}


def _expand_text(text: str, env: Mapping[str, str], report: Report, path: KeyPath) -> str:
    def replace(match: re.Match[str]) -> str:
        name, default = match[1], match[2]
        if name is None:
            report.add(path, "a ${ that is not an environment variable", "Write ${NAME} or ${NAME:-default}.")
            return match[0]
        value = env.get(name)
        if default is not None:
            return value or default
        if value is None:
            hint = f"Set {name}, or give it a default: ${{{name}:-…}}."
            report.add(path, f"the environment variable {name} is not set", hint)
            return match[0]
        return value

    expanded = _VARIABLE.sub(replace, text)
    if path[0] in _FREE:
        return expanded
    result = Expanded(expanded)
    result.raw = text
    return result
