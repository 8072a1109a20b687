"""Kinds of rules that an installed package brings, under the entry points `airflow_ingest.rules`."""

from __future__ import annotations

from string import Formatter
from typing import Any, ClassVar, Literal

from pydantic import ValidationError, create_model

from airflow_ingest.config.block import Block
from airflow_ingest.config.installed import installed, loaded
from airflow_ingest.config.report import Report
from airflow_ingest.config.rules import KEYS_OF_ALL, RULES, free_name
from airflow_ingest.config.values import KeyPath, Scalar, quote

GROUP = "airflow_ingest.rules"


class CustomRule(Block):
    """A kind of rule: a subclass's fields are its arguments, and its SQL says what must hold.

    - `template`: a condition on one row, or for `scope = "batch"` a SELECT of one truth value FROM batch. `{field}`
      stands for the argument's value as a literal, `{field:column}` for the column of that name; of a list, for all of
      them with commas between. A class that needs more than a template overrides `sql`
    - `scope`: `row` or `batch`; a condition on a row that is NULL holds, a batch's does not
    """

    scope: ClassVar[Literal["row", "batch"]] = "row"
    template: ClassVar[str] = ""

    def sql(self) -> str:
        """The SQL for these arguments."""
        return _Quoted().format(self.template, **{name: getattr(self, name) for name in type(self).model_fields})


class _Quoted(Formatter):
    """Puts values into SQL as literals, and as names where the template says `:column`."""

    def format_field(self, value: Any, format_spec: str) -> str:
        from sqlglot import exp

        from airflow_ingest.config.sql import DIALECT

        if isinstance(value, list | tuple):
            return ", ".join(self.format_field(one, format_spec) for one in value)
        part = exp.to_identifier(str(value), quoted=True) if format_spec == "column" else exp.convert(value)
        return part.sql(DIALECT)


def expand_custom(rules: Any, at: KeyPath, report: Report) -> Any:
    """`rules`, a list of the language, with those of a package's kinds as the `expect` or `sql` that they stand for."""
    if not isinstance(rules, list) or not any(_kind(rule) for rule in rules):
        return rules
    taken = {str(rule["name"]) for rule in rules if isinstance(rule, dict) and rule.get("name")}
    return [
        _expanded(rule, kind, (*at, index), report, taken) if (kind := _kind(rule)) in installed(GROUP) else rule
        for index, rule in enumerate(rules)
    ]


def _kind(rule: Any) -> str:
    """What a rule calls its kind, if that is none of the language's own."""
    kinds = rule.keys() - KEYS_OF_ALL if isinstance(rule, dict) else ()
    kind = next(iter(kinds)) if len(kinds) == 1 else ""
    return "" if kind in RULES else str(kind)


def _expanded(rule: dict[str, Any], kind: str, at: KeyPath, report: Report, taken: set[str]) -> dict[str, Any]:
    shared = {key: value for key, value in rule.items() if key != kind}
    found = _load(kind, (*at, kind), report)
    made = _with_arguments(found, rule[kind], (*at, kind), report) if found else None
    if made is None:
        return {**shared, "expect": "true"}  # the mistake is told; what follows has a rule to look at
    if not shared.get("name"):
        shown = ", ".join(_shown(getattr(made, name)) for name in type(made).model_fields)
        shared["name"] = free_name(f"{kind}({shown})", taken)
    if made.scope == "batch":
        return {**shared, "sql": made.sql()}
    return {**shared, "expect": f"coalesce(({made.sql()}), true)"}


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _load(kind: str, at: KeyPath, report: Report) -> type[CustomRule] | None:
    entry = installed(GROUP)[kind]
    what = f"the kind of rule {quote(kind)} of {entry.dist.name if entry.dist else entry.value}"
    found = loaded(entry, what, at, report, at_key=True)
    if found is None:
        return None
    if isinstance(found, str):
        return _from_template(kind, found)
    if isinstance(found, type) and issubclass(found, CustomRule):
        return found
    report.add(at, f"{what} is neither a CustomRule nor a text: {entry.value}", "Correct the package.", at_key=True)
    return None


def _from_template(kind: str, template: str) -> type[CustomRule]:
    names = dict.fromkeys(name for _, name, _, _ in Formatter().parse(template) if name)
    fields: dict[str, Any] = dict.fromkeys(names, (Scalar | list[Scalar], ...))
    made = create_model(kind, __base__=CustomRule, **fields)
    made.template = template
    made.scope = "batch" if template.lstrip().upper().startswith(("SELECT", "WITH")) else "row"
    return made


def _with_arguments(kind: type[CustomRule], given: Any, at: KeyPath, report: Report) -> CustomRule | None:
    """The rule with what the file says; where it has one argument, its bare value will do."""
    names = list(kind.model_fields)
    arguments = {names[0]: given} if len(names) == 1 and not isinstance(given, dict) else given
    try:
        return kind.model_validate(arguments)
    except ValidationError as error:
        from airflow_ingest.config.messages import report_errors

        report_errors(error, kind, report, at)
        return None
