"""docs/alerts.md: its pipelines are sound, and its table of events is the code's."""

from __future__ import annotations

import json
import re
from pathlib import Path

from airflow_ingest.config import Pipeline, parse_pipeline
from airflow_ingest.config.pipeline import LEVELS

PAGE = (Path(__file__).parents[2] / "docs/alerts.md").read_text("utf-8")


def documented() -> Pipeline:
    pipeline, alerts = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.S)
    return parse_pipeline(pipeline + alerts, file="shop.yaml", env={})


def test_the_examples() -> None:
    pipeline = documented()
    assert pipeline.alerts is not None
    assert pipeline.sla is not None
    assert (pipeline.alerts.level("no_data"), pipeline.alerts.level("stale")) == ("none", "warning")
    orders = pipeline.tables["orders"].sla
    assert orders is not None
    assert pipeline.late_mail(orders) == ("ops@example.com",)


def test_the_events_and_their_levels() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE, flags=re.M)
    assert dict(rows) == LEVELS


def test_the_connection_is_json() -> None:
    (value,) = re.findall(r"AIRFLOW_CONN_SMTP_DEFAULT='(.*?)'", PAGE, flags=re.S)
    assert json.loads(value)["extra"]["from_email"] == "ingest@example.com"
