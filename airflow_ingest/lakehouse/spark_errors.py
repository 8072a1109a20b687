"""Spark's errors, without the page of JVM frames."""

from __future__ import annotations

import re

_CLASS = re.compile(r"\[([A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]")
_CAUSE = re.compile(r"^Caused by: (?:[\w.$]+\.)?(\w+(?:Exception|Error)): (.*)$", re.MULTILINE)


def error_class(error: BaseException) -> str:
    """Spark's name for the error, such as `FAILED_READ_FILE.NO_HINT`; empty if it has none."""
    found = _CLASS.search(str(error))
    return found.group(1) if found else ""


def brief(error: BaseException) -> str:
    """The sentences of `error` that a person can use, and its first cause, on one line."""
    text = str(error)
    head = re.split(r"\n\s*\n?JVM stacktrace:|\n\tat |\n'|\n\+-|; line \d+ pos \d+|;\n", text, maxsplit=1)[0]
    cause = _CAUSE.search(text)
    because = f" ({cause.group(1)}: {cause.group(2)})" if cause and cause.group(2) not in head else ""
    return " ".join(head.split()) + because
