"""YAML text → plain Python values, with the place of every key kept for the day it is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import yaml
from yaml._yaml import CParser
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from airflow_ingest.config.values import KeyPath

BOOLEAN_WORDS = frozenset(
    word for lower in ("true", "false", "yes", "no", "on", "off") for word in (lower, lower.title(), lower.upper())
)
Complain = Callable[[Node, KeyPath, str, str], None]

_TRUE = frozenset({"true", "yes", "on"})
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?\Z")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}")
_DEEPEST, _TOO_DEEP = 100, "too many levels of nesting"
_PLAIN, _TEXT = "plain", "text"
_STANDARD = "tag:yaml.org,2002:"


class _Composer(CParser):
    """libyaml's parser, with the guessing of types left to `_plain`, which remembers its answers."""

    def resolve(self, kind: type[Node], value: str, implicit: Any) -> str:
        return (_PLAIN if implicit[0] else _TEXT) if kind is ScalarNode else ""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def descend_resolver(self, current_node: Node | None, current_index: Any) -> None:
        self._depth += 1
        if self._depth > _DEEPEST and current_node is not None:
            raise ComposerError(None, None, _TOO_DEEP, current_node.start_mark)

    def ascend_resolver(self) -> None:
        self._depth -= 1


def compose(text: str) -> Node | None:
    """Return the node tree of `text` (None if it holds nothing). Raises yaml.MarkedYAMLError or ReaderError."""
    root: Node | None = _Composer(text).get_single_node()
    return root


@lru_cache(maxsize=4096)
def _plain(value: str) -> Any:
    """What an unquoted scalar means: as in YAML 1.1, but without its octal and base-60 numbers."""
    if value in ("", "~", "null", "Null", "NULL"):
        return None
    if value in BOOLEAN_WORDS:
        return value.lower() in _TRUE
    if _INT.match(value):
        return int(value)
    if _FLOAT.match(value):
        return float(value)
    try:
        if _DATE.match(value):
            return date.fromisoformat(value)
        if _TIME.match(value):
            return datetime.fromisoformat(value)
    except ValueError:
        pass
    return value


def construct(root: Node, complain: Complain) -> Any:
    """Turn nodes into dicts, lists and scalars; tell `complain` of duplicate keys and of what has no plain meaning."""
    return _Builder(complain).build(root, ())


_UNFINISHED = object()


class _Builder:
    """Builds each collection once, however many aliases point to it."""

    def __init__(self, complain: Complain) -> None:
        self._complain = complain
        self._built: dict[int, Any] = {}

    def build(self, node: Node, path: KeyPath) -> Any:
        if node.__class__ is ScalarNode:
            if node.tag == _PLAIN:
                return _plain(node.value)
            return node.value if node.tag == _TEXT else self._tagged(node, path)
        known = self._built.get(id(node))
        if known is _UNFINISHED:
            return self._complain(node, path, "this anchor contains itself", "")
        if known is None:
            self._built[id(node)] = _UNFINISHED
            if node.__class__ is SequenceNode:
                known = [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
            else:
                known = self._mapping(node, path)
            self._built[id(node)] = known
        return known

    def _mapping(self, node: Node, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merges: list[Node] = []
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.__class__ is not ScalarNode:
                hint = "If this is a value that begins with {{, quote it."
                self._complain(key_node, path, "a key must be a word", hint)
            elif key in result:
                self._complain(key_node, (*path, key), f'the key "{key}" is here twice', "Keep one of the two.")
            elif key == "<<" and key_node.tag == _PLAIN:
                merges.append(value_node)
            else:
                if key in BOOLEAN_WORDS and key_node.tag == _PLAIN:
                    hint = f'Write "{key}" in quotes if you mean the word.'
                    self._complain(key_node, (*path, key), f"YAML reads the key {key} as a boolean", hint)
                result[key] = self.build(value_node, (*path, key))
        return self._merge(merges, result, path) if merges else result

    def _merge(self, merges: list[Node], own: dict[str, Any], path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for node in (node for merged in reversed(merges) for node in reversed(_merged(merged))):
            value = self.build(node, path)
            if isinstance(value, dict):
                result.update(value)
            else:
                self._complain(node, path, "<< merges mappings, and this is none", "")
        return {**result, **own}

    def _tagged(self, node: Node, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_STANDARD)
        if kind in ("int", "float", "bool", "null", "timestamp"):
            return _plain(node.value)
        if kind != "str":
            tag = node.tag.replace(_STANDARD, "!!")
            self._complain(node, path, f"the tag {tag} has no meaning here", "Remove it.")
        return node.value


def _merged(node: Node) -> list[Node]:
    return list(node.value) if isinstance(node, SequenceNode) else [node]


def find(root: Node, path: KeyPath) -> tuple[Node | None, Node, int]:
    """Follow `path` as far as it goes: the last key's node (None in a list), the value's node, the steps taken."""
    key: Node | None = None
    node = root
    for done, step in enumerate(path):
        found = _child(node, step)
        if found is None:
            return key, node, done
        key, node = found
    return key, node, len(path)


def _child(node: Node, step: str | int) -> tuple[Node | None, Node] | None:
    if isinstance(node, SequenceNode):
        inside = isinstance(step, int) and step < len(node.value)
        return (None, node.value[step]) if inside else None
    if not isinstance(node, MappingNode):
        return None
    for key, value in node.value:
        if key.value == step:
            return key, value
    for merged in _merge_nodes(node):
        if (found := _child(merged, step)) is not None:
            return found
    return None


def _merge_nodes(node: MappingNode) -> Iterator[Node]:
    for key, value in node.value:
        if key.value == "<<" and key.tag == _PLAIN:
            yield from _merged(value)


_QUOTE_TEMPLATES = "A value that begins with {{ needs quotes."
_SYNTAX = {
    "mapping values are not allowed in this context": (
        'a ": " stands where no key can be',
        'Indent the line like its neighbours, or quote a value that contains ": ".',
    ),
    "could not find expected ':'": ('a key without its ":"', "Write  key: value."),
    "did not find expected key": ("this line does not fit the block above it", "Check its indentation and quotes."),
    "did not find expected '-' indicator": ("this line does not fit the list above it", "Begin it with a dash."),
    "did not find expected ',' or '}'": ('a "{" is not closed', 'Close it with "}", and part its entries by commas.'),
    "did not find expected ',' or ']'": ('a "[" is not closed', 'Close it with "]", and part its entries by commas.'),
    "did not find expected node content": ("a value is missing here", ""),
    "found unexpected end of stream": ("a quoted text is not closed", "Close it with the quote it began with."),
    "found undefined alias": ("no anchor of this name stands above", "Write  &name  before the value first."),
    "found duplicate anchor": ("an anchor of this name is there already", "Give it another name."),
    "found another document": (
        "a second document begins",
        "Write one pipeline per file, without ---.",
    ),
    "control characters are not allowed": ("a control character is in the text", "Remove it."),
}


def explain(error: yaml.YAMLError, text: str) -> tuple[int, int, str, str]:
    """Return line, column (from 1), problem and hint of a syntax error."""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    unclosed = problem.startswith(("did not find expected ','", "found unexpected end of stream"))
    first, second = ("context_mark", "problem_mark") if unclosed else ("problem_mark", "context_mark")
    mark = getattr(error, first, None) or getattr(error, second, None)
    line, column = (mark.line + 1, mark.column + 1) if mark else place(text, getattr(error, "position", 0))
    if "cannot start any token" in problem or "tab character" in problem:
        char = text.split("\n")[line - 1][column - 1 : column] if line <= text.count("\n") + 1 else ""
        if char == "\t" or "tab" in problem:
            return line, column, "a tab indents this line", "YAML is indented with spaces."
        return line, column, f'"{char}" cannot begin a value in YAML', "Put the value in quotes."
    for known, (ours, hint) in _SYNTAX.items():
        if known in problem:
            templated = any("{{" in written for written in text.split("\n")[line - 1 : line])
            return line, column, f"not valid YAML: {ours}", _QUOTE_TEMPLATES if templated else hint
    return line, column, f"not valid YAML: {problem}", ""


def place(text: str, position: int) -> tuple[int, int]:
    """Return line and column, from 1, of a position in a text."""
    before = text[:position]
    return before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1
