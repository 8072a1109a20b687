"""What `deploy/` shows and watches, against the metrics that the code sends."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_ingest._metrics import METRICS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SENT = {metric.in_prometheus: set(metric.tags) for metric in METRICS}
_TOKEN = re.compile(
    r""" "[^"]*" | '[^']*' | \[[^\]]*\] | [a-zA-Z_:][\w:]* | [\d.]+\w* | =~|!~|!=|[<>=]=? | \S """, re.X
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_KEYWORDS = {*_GROUPING, "and", "or", "unless", "offset", "bool", "sum", "max", "min", "avg", "count"}


@dataclass(frozen=True)
class Used:
    """What one PromQL expression uses: the labels that it picks each metric by, and those that it groups by."""

    picked: list[tuple[str, set[str]]]
    grouped: set[str] | None

    @property
    def metrics(self) -> set[str]:
        return {name for name, _ in self.picked}

    @property
    def shown(self) -> set[str]:
        """The labels that its result has."""
        if self.grouped is not None:
            return self.grouped
        return set.intersection(*(SENT[name] for name in self.metrics))


def parse(promql: str) -> Used:
    tokens = _TOKEN.findall(promql)
    picked: list[tuple[str, set[str]]] = []
    grouped: set[str] | None = None
    at = 0
    while at < len(tokens):
        token, following = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in _GROUPING:
            end = tokens.index(")", at)
            grouped = (grouped or set()) | {name for name in tokens[at + 2 : end] if name != ","}
            at = end
        elif token == "{":
            end = tokens.index("}", at)
            matches = zip(tokens[at + 1 : end], tokens[at + 2 : end], strict=False)
            picked[-1][1].update(name for name, operator in matches if operator in ("=", "!=", "=~", "!~"))
            at = end
        elif re.match(r"[a-zA-Z_:]", token) and token not in _KEYWORDS and following != "(":
            picked.append((token, set()))
        at += 1
    return Used(picked, grouped)


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "airflow-ingest.rules.yaml").read_text())["groups"]
    return list(group["rules"])


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana" / "airflow-ingest.json").read_text())
    return found


def queries() -> Iterator[tuple[str, str, set[str]]]:
    """Where each query of the dashboard stands, the query, and the labels that its legend shows."""
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            legend = set(re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]))
            yield panel["title"], target["expr"], legend


def check(promql: str, shown: set[str]) -> None:
    used = parse(promql)
    assert used.metrics, promql
    for name, labels in used.picked:
        assert name in SENT, f"nothing sends {name}"
        assert labels <= SENT[name], f"{name} has no {labels - SENT[name]}"
        assert (used.grouped or set()) <= SENT[name], f"{name} has no {(used.grouped or set()) - SENT[name]}"
    assert shown <= used.shown, f"{promql} gives no {shown - used.shown}"


def test_the_parser_sees_names_and_labels() -> None:
    used = parse('sum by (a, b) (rate(x_total{c="d", e=~"f{g}"}[5m])) > 2 * y unless z offset 15m')

    assert used.picked == [("x_total", {"c", "e"}), ("y", set()), ("z", set())]
    assert used.grouped == {"a", "b"}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_alerts_watch_what_is_sent(rule: dict[str, Any]) -> None:
    told = " ".join(rule["annotations"].values())

    check(rule["expr"], set(re.findall(r"\$labels\.(\w+)", told)))
    assert rule["labels"]["severity"] in ("info", "warning", "critical")


@pytest.mark.parametrize(("query", "legend"), [pytest.param(*found, id=title) for title, *found in queries()])
def test_panels_show_what_is_sent(query: str, legend: set[str]) -> None:
    check(query, legend)


def test_the_dashboards_variables_are_labels_that_are_sent() -> None:
    asked = [variable for variable in dashboard()["templating"]["list"] if variable["type"] == "query"]

    assert [variable["name"] for variable in asked] == ["pipeline", "table"]
    for variable in asked:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
        assert found
        check(found[1], {found[2]})


def test_the_exporter_names_every_metric_as_prometheus_has_it() -> None:
    mappings = yaml.safe_load((DEPLOY / "statsd-exporter" / "mapping.yaml").read_text())["mappings"]
    given = {(found["match"], found["match_metric_type"], found["name"]) for found in mappings}

    assert given == {(f"airflow.{metric.name}", metric.kind, metric.in_prometheus) for metric in METRICS}


def test_every_metric_is_told_of_in_the_documentation() -> None:
    rows = [
        line for line in (ROOT / "docs" / "observability.md").read_text().splitlines() if line.startswith("| `ingest.")
    ]

    assert rows == [
        f"| `{metric.name}` | {metric.kind} | {', '.join(metric.tags)} | {metric.meaning} |" for metric in METRICS
    ]
