"""The status page as HTML that needs nothing but itself: a style and a small script, both named by their hashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial

from jinja2 import Environment, StrictUndefined, Template

from airflow_ingest._addresses import path, ui_root
from airflow_ingest.ui.inline import read
from airflow_ingest.ui.status import texts
from airflow_ingest.ui.status.charts import bars
from airflow_ingest.ui.status.facts import RUNS
from airflow_ingest.ui.status.sla import Promise
from airflow_ingest.ui.status.summary import WARN, PipelineView, TableView

STYLE, SCRIPTS = "status/page.css", ("theme.js", "status/page.js")
_LEAST_RATE = 0.05
_FILTERS = ("count", "mark", "moment", "share", "span", "things")


@dataclass(frozen=True)
class _Chip:
    name: str
    tag: str
    kind: str
    number: int


_CHIPS = (
    ("Failed", "failed", "bad"),
    ("Held", "held", "bad"),
    ("Late", "late", "bad"),
    ("Rules broken", "rules", "warn"),
    ("Dead letters", "letters", "warn"),
)


def status_page(pipelines: Sequence[PipelineView], now: datetime) -> str:
    """The page: what is wrong stands first."""
    tables = sorted(
        ((table, one) for one in pipelines for table in one.tables),
        key=lambda found: (-found[0].urgency, -found[0].level, found[0].pipeline, found[0].name),
    )
    tagged = [_tags(table) for table, _ in tables]
    link = partial(path, ui_root())
    return _template().render(
        now=now,
        link=link,
        runs_of=lambda table: link(*_runs_of(table)),
        ago=partial(texts.ago, now=now),
        tables=tables,
        pipelines=sorted(pipelines, key=lambda one: (-one.urgency, one.pipeline)),
        chips=[_Chip(name, tag, kind, sum(tag in tags.split() for tags in tagged)) for name, tag, kind in _CHIPS],
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        name: getattr(texts, name) for name in ("count", "mark", "moment", "share", "span", "things")
    }
    environment.globals |= {
        "css": read(STYLE),
        "scripts": [read(name) for name in SCRIPTS],
        "promise_told": _promise_told,
        "rate_chart": _rate_chart,
        "rows_chart": _rows_chart,
        "runs": RUNS,
        "tags": _tags,
        "pipeline_tags": _pipeline_tags,
    }
    return environment.from_string(read("status/page.html.j2"))


def _rows_chart(table: TableView) -> str:
    rows = [point.rows for point in table.points]
    label = f"Rows in the last {len(rows)} runs: {rows[-1]:,} last, between {min(rows):,} and {max(rows):,}"
    return bars(rows, [point.bad for point in table.points], label, room=RUNS)


def _rate_chart(table: TableView) -> str:
    rates = [point.rate for point in table.points]
    label = (
        f"Share rejected in the last {len(rates)} runs: {texts.share(rates[-1])} last, {texts.share(max(rates))} most"
    )
    return bars(rates, [point.bad for point in table.points], label, room=RUNS, least=_LEAST_RATE)


def _promise_told(promise: Promise) -> str:
    """How an SLA stands, in full."""
    at = f", the deadline was {texts.moment(promise.at)} UTC" if promise.at and promise.level else ""
    due = f", {texts.moment(promise.at)} UTC" if promise.at and not promise.level else ""
    return f"{promise.state}{at}{due}; {promise.missed} of the last {RUNS} runs missed it"


def _runs_of(table: TableView) -> tuple[str, ...]:
    """Airflow's page with the runs of the table's own tasks."""
    kind = () if table.is_gold else ("group",)
    return ("dags", table.pipeline, "tasks", *kind, table.name)


def _tags(table: TableView) -> str:
    """What the table is shown under, as words."""
    found = {
        "failed": table.status in ("failed", "not run", "stopped"),
        "held": bool(table.held.number),
        "late": table.promise.state in ("missed", "overdue"),
        "letters": bool(table.letters.number),
        "rules": table.quality is not None and table.quality.level >= WARN,
    }
    return " ".join(name for name, applies in found.items() if applies)


def _pipeline_tags(pipeline: PipelineView) -> str:
    return " ".join(sorted({tag for table in pipeline.tables for tag in _tags(table).split()}))
