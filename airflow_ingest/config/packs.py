"""Rule packs: rules that tables share by name, from `rule_packs` or from an installed package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint
from typing import Any

from airflow_ingest.config.custom import expand_custom
from airflow_ingest.config.installed import installed, loaded
from airflow_ingest.config.report import Report, block, texts
from airflow_ingest.config.values import KeyPath, nearest, quote

GROUP = "airflow_ingest.rule_packs"
"""The entry points of packages that bring packs: lists of rules as a pipeline file has them."""


def with_rules(data: dict[str, Any], report: Report) -> dict[str, Any]:
    """A file's plain data with the rules of packs among those of the tables that name them.

    A package's kinds of rules are written out: see `expand_custom`.
    """
    packs = block(data, "rule_packs")
    expanded = {name: expand_custom(rules, ("rule_packs", name), report) for name, rules in packs.items()}
    found = dict(data)
    if expanded:
        found["rule_packs"] = expanded
    for group in ("tables", "gold"):
        tables = block(data, group)
        if any(isinstance(table, dict) and "quality" in table for table in tables.values()):
            found[group] = {name: with_table_rules(tables[name], (group, name), report, expanded) for name in tables}
    return found


def with_table_rules(table: Any, at: KeyPath, report: Report, packs: Mapping[str, Any] | None = None) -> Any:
    """One table's plain data with the rules of the packs that it names; `packs` are those of its file.

    A rule of its own takes the place of a pack's with the same name.
    """
    quality = block(table, "quality")
    if not quality:
        return table
    path = (*at, "quality")
    own = expand_custom(quality.get("rules"), (*path, "rules"), report)
    shared = list(_of_packs(quality, path, report, packs or {}))
    if shared and isinstance(own, list | None):
        own = own or []
        names = {rule["name"] for rule in own if isinstance(rule, dict) and rule.get("name")}
        shared = [(rule, written) for rule, written in shared if not _is_named(rule, names)]
        for index in range(len(own)):
            report.move((*path, "rules", len(shared) + index), (*path, "rules", index))
        for index, (_, written) in enumerate(shared):
            report.move((*path, "rules", index), written)
        own = [*(rule for rule, _ in shared), *own]
    if own is None:
        return table
    return {**table, "quality": {**quality, "rules": own}}


def _is_named(rule: Any, names: set[Any]) -> bool:
    return isinstance(rule, dict) and rule.get("name") in names


def _of_packs(
    quality: dict[str, Any], at: KeyPath, report: Report, packs: Mapping[str, Any]
) -> Iterator[tuple[Any, KeyPath]]:
    """The rules of the packs that `quality` names, each with where it is written."""
    for index, name in texts(quality, "packs"):
        path = (*at, "packs", index)
        if name in packs:
            rules = packs[name] if isinstance(packs[name], list) else []
            yield from ((rule, ("rule_packs", name, number)) for number, rule in enumerate(rules))
        elif name in installed(GROUP):
            rules = expand_custom(_load(installed(GROUP)[name], path, report), path, report)
            yield from ((rule, path) for rule in rules)
        else:
            known = [*packs, *installed(GROUP)]
            hint = nearest(name, known) or (f"There are: {', '.join(known)}." if known else "Write it in rule_packs.")
            report.add(path, f"there is no rule pack {quote(name)}", hint)


def _load(entry: EntryPoint, at: KeyPath, report: Report) -> list[Any]:
    rules = loaded(entry, f"the rule pack {quote(entry.name)}", at, report)
    if rules is None:
        return []
    if not isinstance(rules, list):
        report.add(
            at, f"the rule pack {quote(entry.name)} is not a list of rules: {entry.value}", "Correct the package."
        )
        return []
    return rules
