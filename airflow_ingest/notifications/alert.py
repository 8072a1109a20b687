"""One thing that people are told, as the text and the HTML of a mail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from airflow_ingest._addresses import path

_TIME = "%Y-%m-%d %H:%M:%S %Z"
_STYLE = "font: 15px/1.5 system-ui, sans-serif"


@dataclass(frozen=True)
class RunLabel:
    """A run as people know it: its pipeline, its id, how it was started, its data interval and its page in Airflow."""

    pipeline: str
    run_id: str
    kind: str
    interval: tuple[datetime, datetime] | None = None

    @classmethod
    def of(cls, dag_run: Any, pipeline: str) -> RunLabel:
        """The label of a run of Airflow's."""
        start, end = dag_run.data_interval_start, dag_run.data_interval_end
        kind = str(getattr(dag_run.run_type, "value", dag_run.run_type)).replace("_", " ")
        return cls(pipeline, dag_run.run_id, kind, (start, end) if start and end else None)

    @property
    def url(self) -> str:
        """Its page in Airflow's UI, at the address that `[api] base_url` gives."""
        from airflow.sdk.configuration import conf

        root = conf.get("api", "base_url", fallback="") or "http://localhost:8080"
        return path(root.rstrip("/"), "dags", self.pipeline, "runs", self.run_id)

    def rows(self) -> list[tuple[str, str]]:
        """What to show of it."""
        rows = [("pipeline", self.pipeline), ("run", f"{self.run_id} ({self.kind})")]
        if self.interval:
            rows.append(("data interval", " to ".join(map(show_time, self.interval))))
        return rows


@dataclass(frozen=True)
class Alert:
    """What people are told.

    - `event` and `level`: as under `alerts.levels`; a missed deadline is the event `late`
    - `headline`: what happened, in a few words; `facts`: what is known of it, a line each; `advice`: what to do
    - `tables`: those that it concerns
    """

    event: str
    level: str
    run: RunLabel
    headline: str
    facts: tuple[str, ...] = ()
    advice: str = ""
    tables: tuple[str, ...] = ()
    more: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> str:
        """The mail's subject."""
        return f"[{self.level}] {self.run.pipeline}: {self.headline}"

    @property
    def text(self) -> str:
        """The whole as plain text."""
        rows = (f"{name}: {value}" for name, value in self._rows())
        facts = (f"- {fact}" for fact in self.facts)
        parts = [self.subject, "\n".join(rows), "\n".join(facts), self.advice, self.run.url]
        return "\n\n".join(filter(None, parts))

    @property
    def html(self) -> str:
        """The mail's body."""
        cells = (
            f"<tr><td style='padding-right: 1em'>{escape(name)}</td><td>{escape(value)}</td></tr>"
            for name, value in self._rows()
        )
        facts = "".join(f"<li>{escape(fact)}</li>" for fact in self.facts)
        parts: Iterable[str] = (
            f"<div style='{_STYLE}'>",
            f"<p><b>{escape(self.headline)}</b></p>",
            f"<table>{''.join(cells)}</table>",
            f"<ul>{facts}</ul>" if facts else "",
            f"<p>{escape(self.advice)}</p>" if self.advice else "",
            f"<p><a href='{escape(self.run.url)}'>Open the run in Airflow</a></p>",
            "</div>",
        )
        return "\n".join(filter(None, parts))

    def _rows(self) -> list[tuple[str, str]]:
        return [*self.run.rows(), *self.more]


def show_time(at: datetime) -> str:
    """A time with its zone."""
    return at.strftime(_TIME).rstrip()


def listed(names: Iterable[str], most: int = 10) -> str:
    """Names for a sentence, so many and no more."""
    found = list(names)
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
