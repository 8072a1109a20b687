"""Names, tags and values of the metrics; tests/operators/test_observability.py sees them leave a real run."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from airflow_ingest import _metrics
from airflow_ingest.lakehouse import LoadResult, ReplayResult, RowCounts
from airflow_ingest.lakehouse.model import RuleResult

TABLE = {"pipeline": "shop", "table": "orders", "layer": "silver"}


class Backend:
    """In the place of StatsD."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float, dict[str, str]]] = []

    def incr(self, stat: str, count: int, tags: dict[str, str]) -> None:
        self.sent.append((stat, count, tags))

    def gauge(self, stat: str, value: float, tags: dict[str, str]) -> None:
        self.sent.append((stat, value, tags))


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Backend:
    from airflow.sdk._shared.observability.metrics import stats

    backend = Backend()
    monkeypatch.setattr(stats, "_backend", backend)
    return backend


def result(**found: Any) -> LoadResult:
    return LoadResult(step="merge_silver", table="orders", **found)


def test_a_load_is_measured(backend: Backend) -> None:
    up_to = datetime(2013, 1, 2, tzinfo=timezone.utc)
    rule = RuleResult(name="r", kind="sql", severity="info", passed=False)
    rows = RowCounts(read=3, inserted=2, rejected=1)

    _metrics.load_done("shop", "silver", result(rows=rows, bytes_written=7, seconds=1.5, up_to=up_to, rules=[rule]))

    sent = [(name, value, tags) for name, value, tags in backend.sent if name != _metrics.LOADED_AT.name]
    assert sent == [
        ("ingest.loads", 1, {**TABLE, "status": "loaded"}),
        ("ingest.rows", 3, {**TABLE, "outcome": "read"}),
        ("ingest.rows", 2, {**TABLE, "outcome": "inserted"}),
        ("ingest.rows", 1, {**TABLE, "outcome": "rejected"}),
        ("ingest.bytes", 7, TABLE),
        ("ingest.load_seconds", 1.5, TABLE),
        ("ingest.freshness_timestamp_seconds", up_to.timestamp(), TABLE),
        ("ingest.broken_rules", 1, {**TABLE, "severity": "info"}),
    ]


def test_a_load_that_found_nothing_new_wrote_no_bytes_and_is_up_to_date(backend: Backend) -> None:
    _metrics.load_done("shop", "silver", result(status="unchanged", bytes_written=7))

    names = [name for name, *_ in backend.sent]
    assert names == ["ingest.loads", "ingest.load_seconds", "ingest.load_timestamp_seconds"]


def test_a_load_that_is_skipped_is_only_counted(backend: Backend) -> None:
    _metrics.load_done("shop", "silver", result(status="skipped"))

    assert backend.sent == [("ingest.loads", 1, {**TABLE, "status": "skipped"})]


def test_replayed_letters_are_counted_and_those_of_a_dry_run_are_not(backend: Backend) -> None:
    _metrics.letters_replayed("shop", ReplayResult(table="orders", replayed=2))
    _metrics.letters_replayed("shop", ReplayResult(table="orders", replayed=2, dry_run=True))

    assert backend.sent == [("ingest.rows", 2, {**TABLE, "outcome": "replayed"})]


def test_deadlines_are_a_tables_or_the_pipelines(backend: Backend) -> None:
    _metrics.deadline_missed("shop", "orders")
    _metrics.deadline_missed("shop")

    assert [tags["table"] for _, _, tags in backend.sent] == ["orders", "-"]


def test_names_that_statsd_cannot_carry_are_made_fit(backend: Backend) -> None:
    _metrics.load_failed("shop", "größte, beste=1", "gold")

    assert [tags["table"] for _, _, tags in backend.sent] == ["gr__te__beste_1"]


def test_a_metric_that_cannot_be_sent_fails_nothing(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "incr", None)

    _metrics.load_failed("shop", "orders", "silver")


@pytest.mark.parametrize("metric", _metrics.METRICS, ids=lambda metric: metric.name)
def test_names_are_what_statsd_opentelemetry_and_prometheus_take(metric: _metrics.Metric) -> None:
    from airflow.sdk._shared.observability.metrics.validators import stat_name_otel_handler

    assert stat_name_otel_handler("airflow", metric.name) == f"airflow.{metric.name}"
    assert metric.in_prometheus.replace("_", "").isalnum()
    assert metric.in_prometheus.endswith("_total") == (metric.kind == "counter")


def test_a_tag_is_never_forgotten() -> None:
    with pytest.raises(AssertionError, match=r"ingest\.bytes"):
        _metrics.BYTES.send(1, pipeline="shop")


def test_opentelemetry_carries_names_values_and_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk._shared.observability.metrics import otel_logger as shared
    from airflow.sdk._shared.observability.metrics import stats
    from airflow.sdk.observability.metrics import otel_logger
    from opentelemetry import metrics
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(shared, "atexit_register_metrics_flush", lambda: None)
        monkeypatch.setattr(stats, "_backend", otel_logger.get_otel_logger())

        _metrics.load_done("shop", "silver", result(rows=RowCounts(read=3, inserted=3), seconds=1.5))

        provider: Any = metrics.get_meter_provider()
        provider.force_flush()
        provider.shutdown()
        server.shutdown()
    sent = {
        (metric.name, value.as_double or value.as_int, frozenset((tag.key, tag.value.string_value) for tag in tags))
        for body in bodies
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for value in (metric.sum if metric.HasField("sum") else metric.gauge).data_points
        for tags in [value.attributes]
    }
    assert ("airflow.ingest.loads", 1, frozenset({**TABLE, "status": "loaded"}.items())) in sent
    assert ("airflow.ingest.rows", 3, frozenset({**TABLE, "outcome": "inserted"}.items())) in sent
    assert ("airflow.ingest.load_seconds", 1.5, frozenset(TABLE.items())) in sent
