"""Collects mistakes while a configuration is read, and finds their places in its file."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel
from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode

from airflow_ingest.config import _yaml
from airflow_ingest.config.errors import ConfigError, Mistake
from airflow_ingest.config.values import Expanded, KeyPath, nearest

_WORD = re.compile(r"[\w*-]+\Z")


def show_path(path: KeyPath) -> str:
    """Write a key path as messages do: tables.flights.silver.keys[0]."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            name = step if _WORD.match(step) else f'"{step}"'
            text += f".{name}" if text else name
    return text


class Report:
    """The mistakes of one configuration. Without `root` (it did not come from a file) they have no line."""

    def __init__(self, file: str, text: str = "", root: Node | None = None, *, served: bool = True) -> None:
        self._file = file
        self._text = text
        self._root = root
        self._served = served
        self._mistakes: dict[tuple[int, int, str, str], Mistake] = {}
        self._unserved: set[KeyPath] = set()
        self._moved: dict[KeyPath, KeyPath] = {}

    def move(self, path: KeyPath, written: KeyPath) -> None:
        """Say that what is at `path` now stands at `written` in the file."""
        self._moved[path] = written

    def add(self, path: KeyPath, problem: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note a mistake in the value at `path`, or in its key; none beside a part that is not served anyway."""
        if path in self._unserved:
            return
        line, column = 0, 0
        if self._root is not None:
            key, node, path = self._locate(path)
            mark = (key if key is not None and (at_key or _is_block(node)) else node).start_mark
            line, column = mark.line + 1, mark.column + 1
        self.add_at(line, column, path, problem, hint)

    def add_node(self, node: Node, path: KeyPath, problem: str, hint: str) -> None:
        """Note a mistake where a YAML node begins."""
        self.add_at(node.start_mark.line + 1, node.start_mark.column + 1, path, problem, hint)

    def add_sql(self, path: KeyPath, value: str, offset: int, problem: str, hint: str = "") -> None:
        """Note a mistake at a place inside the text at `path`."""
        if self._root is None:
            return self.add(path, problem, hint)
        _, node, shown = self._locate(path)
        if not isinstance(node, ScalarNode):
            return self.add(path, problem, hint)
        line, column = self._inside(node, value, offset)
        return self.add_at(line, column, shown, problem, hint)

    def add_at(self, line: int, column: int, path: KeyPath, problem: str, hint: str = "") -> None:
        """Note a mistake at a known place; once, however many tables take it from there by an anchor or a default."""
        shown = show_path(path)
        key = (line, column, "" if line else shown, problem)
        self._mistakes.setdefault(key, Mistake(self._file, line, column, shown, problem, hint))

    def unserved(self, path: KeyPath, what: str, hint: str = "") -> None:
        """Note the use of a part of the language that this version does not serve yet."""
        if self._served:
            problem = f"{what} is in the language but not served yet in this version"
            self.add(path, problem, hint or "Remove it for now.", at_key=True)
            self._unserved.add(path)

    def covers(self, path: KeyPath) -> bool:
        """Whether there is a mistake at this very path already."""
        shown = show_path(path)
        return any(mistake.path == shown for mistake in self._mistakes.values())

    def is_inherited(self, path: KeyPath) -> bool:
        """Whether a table has the value at `path` from `defaults`."""
        return self._root is not None and self._locate(path)[2][0] == "defaults"

    def source_of(self, path: KeyPath) -> str | None:
        """Return how the file writes the unquoted scalar at `path`, or None."""
        if self._root is None:
            return None
        _, node, _ = self._locate(path)
        return str(node.value) if isinstance(node, ScalarNode) and not node.style else None

    def check(self) -> None:
        """Raise ConfigError if there is any mistake."""
        if self._mistakes:
            raise ConfigError(sorted(self._mistakes.values(), key=lambda mistake: (mistake.line, mistake.column)))

    def _locate(self, path: KeyPath) -> tuple[Node | None, Node, KeyPath]:
        """Find the nearest node of a path; a table's path that the table does not write is sought in `defaults`."""
        assert self._root is not None
        path = self._as_written(path)
        key, node, done = _yaml.find(self._root, path)
        if path[:1] == ("tables",) and 2 <= done < len(path):
            inherited = ("defaults", *path[2:])
            found = _yaml.find(self._root, inherited)
            if found[2] - 1 > done - 2:
                (key, node, done), path = found, inherited
        missing = done + 1 if isinstance(node, MappingNode) else done
        return key, node, path[:missing]

    def _as_written(self, path: KeyPath) -> KeyPath:
        for length in range(len(path), 0, -1) if self._moved else ():
            if path[:length] in self._moved:
                return (*self._moved[path[:length]], *path[length:])
        return path

    def _inside(self, node: ScalarNode, value: str, offset: int) -> tuple[int, int]:
        start = node.start_mark
        if node.style == "|" and not isinstance(value, Expanded):
            row = value.count("\n", 0, offset)
            lines = self._text.split("\n")[start.line + 1 + row :]
            if not lines:
                return start.line + 1, start.column + 1
            written = lines[0]
            indent = len(written.rstrip("\r")) - len(value.split("\n")[row])
            return start.line + row + 2, indent + offset - (value.rfind("\n", 0, offset) + 1) + 1
        raw = self._text[start.index : node.end_mark.index]
        lead = 1 if node.style in ("'", '"') else 0
        if raw[lead : lead + len(value)] != value:
            token = re.match(r"\w+|\S", value[offset:])
            found = (
                re.search(rf"(?<!\w){re.escape(token[0])}(?!\w)" if token[0].isalnum() else re.escape(token[0]), raw)
                if token
                else None
            )
            offset, lead = (found.start() if found else 0), 0
        before = self._text[: start.index + lead + offset]
        return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _is_block(node: Node) -> bool:
    """Whether a value is a mapping or list written over several lines, below its key."""
    return isinstance(node, CollectionNode) and not node.flow_style


def block(parent: Any, key: str) -> dict[str, Any]:
    """Return the mapping under `key`, or an empty one where there is none."""
    value = parent.get(key) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def is_absent(parent: dict[str, Any], key: str, model: type[BaseModel]) -> bool:
    """Whether a key is left out or empty, and no key that the model lacks looks like a misspelling of it."""
    if parent.get(key) not in (None, [], ""):
        return False
    known = {field.alias or name for name, field in model.model_fields.items()}
    return not any(nearest(other, [key]) for other in parent.keys() - known)


def texts(parent: dict[str, Any], key: str) -> list[tuple[int, str]]:
    """Return the texts of the list under `key` with their indexes."""
    value = parent.get(key)
    return (
        [(index, word) for index, word in enumerate(value) if isinstance(word, str)] if isinstance(value, list) else []
    )
