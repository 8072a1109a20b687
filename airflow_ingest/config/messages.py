"""pydantic's errors → plain sentences."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from airflow_ingest.config._yaml import BOOLEAN_WORDS
from airflow_ingest.config.custom import GROUP
from airflow_ingest.config.installed import installed
from airflow_ingest.config.report import Report
from airflow_ingest.config.rules import KEYS_OF_ALL, RULES
from airflow_ingest.config.schedule import AssetSchedule, AssetSet
from airflow_ingest.config.values import KeyPath, nearest, one_of, quote

Sentence = tuple[str, str]

_SPLIT = "A comma ends a text that stands in { } or [ ]: put the whole text in quotes."


def report_errors(error: ValidationError, model: type[BaseModel], report: Report, at: KeyPath = ()) -> None:
    """Add every error of a validation to the report; what was validated stands at the path `at`."""
    errors = error.errors(include_url=False)
    unknown = [details["loc"] for details in errors if details["type"] == "extra_forbidden"]
    for details in errors:
        loc, kind = details["loc"], details["type"]
        path: KeyPath = (*at, *(step for step in loc if not str(step).startswith("@")))
        if kind == "extra_forbidden":
            known = _known_keys(model, loc[:-1])
            split = details["input"] is None and " " in str(path[-1])
            hint = nearest(path[-1], known) or (_SPLIT if split else f"Known keys: {', '.join(known)}.")
            report.add(path, f"unknown key {quote(path[-1])}", hint, at_key=True)
        elif kind == "missing":
            if not any(other[:-1] == loc[:-1] and nearest(other[-1], [str(loc[-1])]) for other in unknown):
                report.add(path[:-1], f"the key {quote(path[-1])} is missing", _description(model, loc), at_key=True)
        elif not report.covers(path):
            at_key = path[-1] == "[key]"
            path = path[:-1] if at_key else path
            report.add(path, *_sentence(details, report, path), at_key=at_key)


def _sentence(details: ErrorDetails, report: Report, path: KeyPath) -> Sentence:
    value, context = details["input"], details.get("ctx", {})
    kind = details["type"]
    if kind == "config":
        return context["problem"], context["hint"]
    if isinstance(value, bool) and (source := report.source_of(path)) in BOOLEAN_WORDS - {"true", "false"}:
        return f"YAML reads {source} as a boolean", f'Write "{source}" in quotes.'
    if kind in _SENTENCES:
        return _SENTENCES[kind](value, context)
    return f"{quote(value)} does not fit: {details['msg']}", ""


def _must_be(what: str, hint: str = "") -> Callable[[Any, dict[str, Any]], Sentence]:
    def sentence(value: Any, context: dict[str, Any]) -> Sentence:
        return f"must be {what.format(**context)}, {_not(value)}", hint

    return sentence


def _not(value: Any) -> str:
    return "and is empty" if value is None else f"not {quote(value)}"


def _text(value: Any, context: dict[str, Any]) -> Sentence:
    shown = str(value) if not isinstance(value, dict | list | bool) and value is not None else ""
    return f"must be a text, {_not(value)}", f'Write it in quotes: "{shown}".' if shown else ""


def _list(value: Any, context: dict[str, Any]) -> Sentence:
    shown = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"must be a list, {_not(value)}", f"Write [{getattr(value, 'raw', value)}]." if shown else ""


def _word(value: Any, context: dict[str, Any]) -> Sentence:
    known = context["expected"].replace("'", "").replace(" or ", ", ").split(", ")
    return f"{quote(value)} is not one of {one_of(known)}", nearest(value, known) if isinstance(value, str) else ""


def _rule(value: Any, context: dict[str, Any]) -> Sentence:
    kinds = one_of(RULES)
    if not isinstance(value, dict):
        return f"must be a rule, such as {{expect: …}}, not {quote(value)}", f"Kinds of rules: {kinds}."
    given = [key for key in value if key in RULES]
    if given:
        return f"one rule has {len(given)} kinds: {one_of(given, 'and')}", "Write them as separate rules."
    unknown = [key for key in value if key not in KEYS_OF_ALL]
    if not unknown:
        return "this rule says nothing", f"Give it one of {kinds}."
    known = [*RULES, *installed(GROUP)]
    hint = next((found for key in unknown if (found := nearest(key, known))), f"Kinds of rules: {one_of(known)}.")
    return f"{quote(unknown[0])} is no kind of rule", hint


def _empty(value: Any, context: dict[str, Any]) -> Sentence:
    return "must not be empty", ""


_SENTENCES: dict[str, Callable[[Any, dict[str, Any]], Sentence]] = {
    "string_type": _text,
    "list_type": _list,
    "literal_error": _word,
    "union_tag_not_found": _rule,
    "too_short": _empty,
    "string_pattern_mismatch": lambda value, _: (
        f"{quote(value)} is not a window's length",
        "Write a number and a unit: 7 days, 4 weeks, 3 months, 24 hours.",
    ),
    "greater_than": _must_be("above {gt}"),
    "greater_than_equal": _must_be("at least {ge}"),
    "less_than_equal": _must_be("at most {le}"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), _must_be("a whole number")),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), _must_be("a number")),
    **dict.fromkeys(("bool_type", "bool_parsing"), _must_be("true or false")),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), _must_be("a mapping of keys")),
}


_FORMS: dict[int | str, Any] = {"@assets": AssetSchedule, "@set": AssetSet, "@list": list[AssetSet]}


def _known_keys(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    block = _block_at(model, loc)
    if block is None:
        return []
    keys = (field.alias or name for name, field in block.model_fields.items())
    return [key for key in keys if not key.startswith("*")]


def _description(model: type[BaseModel], loc: tuple[int | str, ...]) -> str:
    block = _block_at(model, loc[:-1])
    fields = block.model_fields.items() if block else ()
    return next((field.description or "" for name, field in fields if (field.alias or name) == loc[-1]), "")


def _block_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel] | None:
    """Follow an error's location through the models' annotations."""
    here: Any = model
    for step in loc:
        if step in _FORMS:
            here = _FORMS[step]
        elif isinstance(step, str) and step.startswith("@"):
            here = RULES.get(step[1:])
        else:
            here = next((found for part in _parts(here) if (found := _inner(part, step)) is not None), None)
    return next((part for part in _parts(here) if isinstance(part, type) and issubclass(part, BaseModel)), None)


def _parts(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for part in get_args(annotation) for inner in _parts(part)]
    return [annotation]


def _inner(annotation: Any, step: int | str) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields.items()
        return next((field.annotation for name, field in fields if (field.alias or name) == step), None)
    if get_origin(annotation) in (dict, list):
        return get_args(annotation)[-1]
    return None
