"""What the models say of themselves: a JSON Schema for editors and the reference page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from airflow_ingest.config.pipeline import Pipeline
from airflow_ingest.config.rules import RULES, BatchRule, RowRule, Rule
from airflow_ingest.config.served import UNSERVED_KEYS
from airflow_ingest.config.table import KEEP_OTHERS
from airflow_ingest.config.values import format_duration

Schema = dict[str, Any]

_INTRODUCTION = """# Configuration

<!-- Generated from the models by airflow_ingest.config.reference_page(). -->

One YAML file is one pipeline, and its stem is the pipeline's name. `${NAME}` and `${NAME:-default}` are environment
variables, read when the file is; `{{ ds }}` and the like in `source.files` are rendered from the run's data interval.
Durations are `30s`, `5m`, `2h`, `1d`; rates are `5%` or `0.05`. `airflow-ingest validate` reports every mistake of a
file with its place, and `airflow-ingest schema` writes a JSON Schema that lets an editor complete and check keys.

What is marked *not yet* is in the language, and this version refuses it with a message that says so.
"""


def json_schema() -> Schema:
    """Return the JSON Schema of a pipeline file, for editors."""
    schema = Pipeline.model_json_schema(by_alias=True)
    blocks: dict[str, Schema] = schema["$defs"]
    silver = blocks["Silver"]["properties"]
    del silver[KEEP_OTHERS]
    columns = next(option for option in silver["columns"]["anyOf"] if option.get("type") == "object")
    columns["properties"] = {"*": {"const": "keep", "description": "Pass the other columns on as they come."}}
    schema["properties"]["defaults"] = {"$ref": "#/$defs/TableDefaults"}
    _describe(schema, Pipeline)
    for name, model in _models(Pipeline).items():
        _describe(blocks.get(name, schema), model)
    blocks["TableDefaults"] = {key: value for key, value in blocks["Table"].items() if key != "required"}
    _drop_titles(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "airflow-ingest pipeline", **schema}


def reference_page() -> str:
    """Return the reference of the language as a Markdown page: a table of keys for each block."""
    schema = json_schema()
    models = _models(Pipeline)
    parts = [_INTRODUCTION, _section("A pipeline", Pipeline, schema)]
    rest = {name: model for name, model in models.items() if not issubclass(model, Pipeline | Rule)}
    parts += (_section(name, model, schema["$defs"][name]) for name, model in rest.items())
    parts.append(_rules(schema["$defs"]))
    return "\n".join(parts)


def _describe(schema: Schema, model: type[BaseModel]) -> None:
    """Give each key its description: pydantic leaves it out beside some references."""
    fields = _fields(model)
    for key, value in _properties(schema).items():
        value["description"] = fields[key].description if key in fields else value["description"]


def _properties(schema: Schema) -> Schema:
    """The keys of a block; of one with a short form, those of its long form."""
    block = next((option for option in schema.get("anyOf", ()) if "properties" in option), schema)
    properties: Schema = block["properties"]
    return properties


def _drop_titles(node: Any) -> None:
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            del node["title"]
        for child in node.values():
            _drop_titles(child)
    elif isinstance(node, list):
        for child in node:
            _drop_titles(child)


def _models(root: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """The models in the order in which the language reaches them."""
    found: dict[str, type[BaseModel]] = {}

    def visit(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            if annotation.__name__ not in found:
                found[annotation.__name__] = annotation
                for field in annotation.model_fields.values():
                    visit(field.annotation)
        else:
            for part in getattr(annotation, "__args__", ()):
                visit(part)

    visit(root)
    return found


def _section(title: str, model: type[BaseModel], schema: Schema) -> str:
    known = _properties(schema)
    rows = [_row(model.__name__, key, field, known[key]) for key, field in _fields(model).items() if key in known]
    return "\n".join([f"## {title}", "", _docstring(model), "", *_HEAD, *rows, ""])


_HEAD = ("| key | type | default | meaning |", "| --- | --- | --- | --- |")


def _row(model: str, key: str, field: FieldInfo, schema: Schema) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    if key in UNSERVED_KEYS.get(model, ()):
        meaning += " *Not yet.*"
    return f"| `{key}` | {_type(schema)} | {_default(field)} | {meaning} |"


def _rules(blocks: dict[str, Schema]) -> str:
    lines = ["## Rules", "", "A rule is a mapping with exactly one of the kinds below, and these keys beside it.", ""]
    lines += [*_HEAD]
    lines += (
        _row("Rule", key, field, _properties(blocks["ExpectRule"])[key]) for key, field in _fields(RowRule).items()
    )
    of = _fields(BatchRule)["of"]
    lines += [
        _row("Rule", "of", of, _properties(blocks["UniqueRule"])["of"]).replace("Which", "Batch rules only: which"),
        "",
    ]
    lines += ["| kind | type | looks at | holds when |", "| --- | --- | --- | --- |"]
    for kind, rule in RULES.items():
        type_ = _type(_properties(blocks[rule.__name__])[kind])
        lines.append(f"| `{kind}` | {type_} | {rule.scope} | {_docstring(rule)} |")
    return "\n".join([*lines, ""])


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _docstring(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _type(schema: Schema) -> str:
    if "x-type" in schema:
        return str(schema["x-type"])
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1].removesuffix("Defaults")
        return f"[{name}](#{name.lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{word}`" for word in schema.get("enum", [schema.get("const")]))
    if options := schema.get("anyOf") or schema.get("oneOf"):
        kinds = dict.fromkeys(_type(option) for option in options if option.get("type") != "null")
        return "[rule](#rules)" if len(kinds) == len(RULES) else " or ".join(kinds)
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'])}"
    if schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        return f"mapping of {_type(inner)}" if isinstance(inner, dict) else "mapping"
    return {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}.get(
        str(schema.get("type")), str(schema.get("type", "anything"))
    )


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required():
        return "*required*"
    if value is None or value in ([], {}, "") or isinstance(value, BaseModel):
        return ""
    if isinstance(value, timedelta):
        return f"`{format_duration(value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
