"""The history of rules as one HTML page that needs nothing but itself: no network, and no script of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_ingest.lakehouse.quality.trend import RuleHistory, RulePoint

_WIDTH, _HEIGHT, _EDGE = 240, 40, 4
_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#3b6ea5, #8ab4f8); --bad: light-dark(#c62828, #ff8a80);
  --soft: #8884; --ground: light-dark(#ffffff, #111113); }
:root[data-theme=light] { color-scheme: light; } :root[data-theme=dark] { color-scheme: dark; }
body { background: var(--ground); font: 15px/1.45 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; }
th, td { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--soft); vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
.bad { color: var(--bad); font-weight: 600; }
svg polyline { fill: none; stroke: var(--line); stroke-width: 1.5; }
svg line { stroke: var(--bad); stroke-dasharray: 4 3; }
svg circle { fill: var(--line); } svg circle.bad { fill: var(--bad); r: 4px; }
summary:focus-visible { outline: 2px solid var(--line); }
.hidden { position: absolute; clip-path: inset(50%); }
summary { cursor: pointer; } details table { font-size: .85rem; } code { overflow-wrap: anywhere; }
"""


def report_page(pipeline: str, rules: Sequence[RuleHistory], at: datetime, *, script: str = "") -> str:
    """The page: for every table its rules, with a chart, what was found last, and all numbers behind a fold.

    `script` runs as the page is read; it may set `data-theme` of the root to `light` or `dark`.
    """
    broken = sum(not rule.last.passed for rule in rules)
    many = "1 rule" if len(rules) == 1 else f"{len(rules)} rules"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>{escape(pipeline)}: quality</title><style>{_STYLE}</style>",
        *([f"<script>{script}</script>"] if script else []),
        "</head><body>",
        f"<h1>{escape(pipeline)}</h1>",
        f"<p>{many}, {broken} of them broken by the newest batch. {at:%Y-%m-%d %H:%M %Z}</p>",
        *(part for table, found in groupby(rules, key=lambda rule: rule.table) for part in _table(table, list(found))),
        "</body></html>",
    ]
    return "\n".join(parts)


_HEADS = ("rule", "severity", "last", "found", "allowed", "history")


def _table(name: str, rules: Sequence[RuleHistory]) -> Iterator[str]:
    yield f"<h2>{escape(name)}</h2><table><thead><tr>"
    yield "".join(f"<th scope='col'>{head}</th>" for head in _HEADS)
    yield "</tr></thead><tbody>"
    for rule in rules:
        last = rule.last
        outcome = "holds" if last.passed else f"<span class='bad'>broken</span><br>{escape(last.message)}"
        yield f"<tr><th scope='row'>{escape(rule.rule)}{_sample(last)}</th><td>{escape(rule.severity)}</td>"
        yield f"<td>{outcome}</td><td class='number'>{_number(last)}</td><td>{escape(last.threshold)}</td>"
        yield f"<td>{_chart(rule)}{_numbers(rule)}</td></tr>"
    yield "</tbody></table>"


def _sample(point: RulePoint) -> str:
    return "".join(f"<br><code>{escape(text)}</code>" for text in point.sample)


def _number(point: RulePoint) -> str:
    if point.value is None:
        return f"{point.failing:,} rows"
    return f"{point.value:g}"


def _chart(rule: RuleHistory) -> str:
    """What was found, batch after batch: large red dots where the rule was broken, dashed lines for what is allowed."""
    shown = [(point.measure or 0.0, point.passed) for point in rule.points]
    least, most = min(value for value, _ in shown), max(value for value, _ in shown)
    bounds = rule.last.bounds
    low, high = min([least, *bounds]), max([most, *bounds])
    step = (_WIDTH - 2 * _EDGE) / max(len(shown) - 1, 1)
    rise = (_HEIGHT - 2 * _EDGE) / ((high - low) or 1)
    dots = [
        (_EDGE + number * step, _HEIGHT - _EDGE - (value - low) * rise, passed)
        for number, (value, passed) in enumerate(shown)
    ]
    broken = sum(not passed for _, passed in shown)
    label = f"{len(shown)} batches, between {least:g} and {most:g}, {broken} broken"
    allowed = "".join(
        f"<line x1='0' x2='{_WIDTH}' y1='{y:.1f}' y2='{y:.1f}'/>"
        for y in (_HEIGHT - _EDGE - (bound - low) * rise for bound in bounds)
    )
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in dots)
    marks = "".join(f"<circle{'' if ok else ' class=bad'} cx='{x:.1f}' cy='{y:.1f}' r='2.5'/>" for x, y, ok in dots)
    return (
        f"<svg role='img' aria-label='{label}' width='{_WIDTH}' height='{_HEIGHT}'>"
        f"{allowed}<polyline points='{line}'/>{marks}</svg>"
    )


def _numbers(rule: RuleHistory) -> str:
    rows = "".join(
        f"<tr><td>{point.at:%Y-%m-%d %H:%M}</td><td>{escape(point.run_id)}</td>"
        f"<td{'' if point.passed else ' class=bad'}>{'holds' if point.passed else 'broken'}</td>"
        f"<td class='number'>{_number(point)}</td></tr>"
        for point in reversed(rule.points)
    )
    heads = "".join(f"<th scope='col'>{head}</th>" for head in ("when", "run", "outcome", "found"))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    name = f"<span class='hidden'> of {escape(rule.rule)}</span>"
    return f"<details><summary>{len(rule.points)} batches{name}</summary>{table}</details>"
