"""One run of a pipeline, as the outside sees it: lines at a StatsD server, OpenLineage events in a file, log lines."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from airflow_ingest import _metrics

if TYPE_CHECKING:
    from airflow_ingest.runtime import ServerStatus
    from airflow_ingest.testing.airflow_home import RunDag

pytestmark = [pytest.mark.spark, pytest.mark.airflow, pytest.mark.slow]
SHOP = """pipeline: shop
schedule: "@daily"
start_date: 2013-01-01
retries: {attempts: 1}
lake: LAKE
tables:
  orders:
    source: {files: "LANDING/orders/{{ ds }}.csv", format: csv, options: {header: true}}
    silver:
      where: "id IS NOT NULL"
      columns:
        id: int
        buyer: {from: name, mask: sha256}
        day: date
        amount: {expr: "double(price) * int(pieces)"}
      keys: [id]
    quality:
      max_reject_rate: 50%
      rules:
        - {name: positive, expect: "amount > 0"}
        - {name: not_many, row_count: {max: 1}, severity: warning}
gold:
  per_day:
    sql: SELECT day, sum(amount) AS amount FROM silver.orders WHERE amount < 1000 GROUP BY day
    quality: {rules: [{name: little, expect: "amount < 10", severity: warning}]}
"""
DAY = """id,name,day,price,pieces
1,Ada,2013-01-01,2.5,2
2,Bob,2013-01-01,-1,1
3,Cyd,2013-01-01,7,1
"""


@dataclass(frozen=True)
class Seen:
    """What the run of the 1st of January let the outside see.

    - `metrics`: name and tags → the values, in the order in which they came
    - `events`: OpenLineage's, of the tasks that ended
    - `lines`: what was logged, each with its fields
    """

    lake: Path
    landing: Path
    metrics: dict[tuple[str, frozenset[tuple[str, str]]], list[float]]
    events: dict[str, dict[str, Any]]
    lines: list[dict[str, Any]]

    def metric(self, metric: _metrics.Metric, **tags: str) -> float | None:
        """The sum of a counter, the last value of a gauge; None if there is none."""
        found = self.metrics.get((metric.name, frozenset(tags.items())))
        return None if found is None else sum(found) if metric.kind == "counter" else found[-1]

    def event(self, task: str) -> dict[str, Any]:
        return self.events[f"shop.{task}"]


@contextmanager
def environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def statsd() -> Iterator[dict[tuple[str, frozenset[tuple[str, str]]], list[float]]]:
    """A StatsD server that Airflow's stats of this process talk to; what came is there at the end."""
    from airflow.sdk.observability import stats
    from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

    came: dict[tuple[str, frozenset[tuple[str, str]]], list[float]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        settings = {"ON": "True", "HOST": "127.0.0.1", "PORT": str(server.getsockname()[1]), "INFLUXDB_ENABLED": "True"}
        with environment(**{f"AIRFLOW__METRICS__STATSD_{name}": value for name, value in settings.items()}):
            stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
            yield came
        stats.initialize(factory=get_stats_factory(), export_legacy_names=False)
        server.settimeout(0.2)
        while True:
            try:
                line = server.recv(65_536).decode()
            except TimeoutError:
                break
            name, _, value = line.rpartition(":")
            name, *tags = name.split(",")
            if name.startswith("airflow.ingest."):
                key = name.removeprefix("airflow."), frozenset((tag.split("=")[0], tag.split("=")[1]) for tag in tags)
                came.setdefault(key, []).append(float(value.partition("|")[0]))


@contextmanager
def openlineage(file: Path) -> Iterator[None]:
    """The provider's own listener, which writes its events to `file`."""
    from airflow.providers.openlineage.plugins.listener import OpenLineageListener
    from airflow.sdk.listener import get_listener_manager

    plugins = get_listener_manager().pm

    transport = {"type": "file", "log_file_path": str(file), "append": True}
    settings = {"TRANSPORT": json.dumps(transport), "EXECUTE_IN_THREAD": "True", "NAMESPACE": "test"}
    with environment(**{f"AIRFLOW__OPENLINEAGE__{name}": value for name, value in settings.items()}):
        if not any(isinstance(plugin, OpenLineageListener) for plugin in plugins.get_plugins()):
            plugins.register(OpenLineageListener())  # type: ignore[no-untyped-call]  # Airflow loads plugins once in a process, and it may have done so
        try:
            yield
        finally:
            for plugin in plugins.get_plugins():
                if isinstance(plugin, OpenLineageListener):
                    plugins.unregister(plugin)


@contextmanager
def log_lines() -> Iterator[list[dict[str, Any]]]:
    """Every line that structlog is given meanwhile, with the fields that Airflow's log files have."""
    lines: list[dict[str, Any]] = []

    def keep(_: Any, __: str, event: Any) -> Any:
        lines.append(dict(event))
        return event

    before = structlog.get_config()
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, keep, *before["processors"]])
    try:
        yield lines
    finally:
        structlog.configure(**before)


@pytest.fixture(scope="module")
def seen(run_dag: RunDag, spark_server: ServerStatus, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    from airflow_ingest.factory.loader import load_dag

    folder = tmp_path_factory.mktemp("observed")
    landing, lake, events = folder / "landing", folder / "lake", folder / "events.ndjson"
    (landing / "orders").mkdir(parents=True)
    (landing / "orders" / "2013-01-01.csv").write_text(DAY)
    file = folder / "shop.yaml"
    file.write_text(SHOP.replace("LAKE", str(lake)).replace("LANDING", str(landing)))
    dag = load_dag(file)

    with statsd() as metrics, openlineage(events), log_lines() as lines:
        run = run_dag(dag, datetime(2013, 1, 2, tzinfo=timezone.utc))

    assert str(run.state) == "success"
    told = [json.loads(line) for line in events.read_text().splitlines()]
    ended = {event["job"]["name"]: event for event in told if event["eventType"] == "COMPLETE"}
    return Seen(lake, landing, metrics, ended, lines)


ORDERS = {"pipeline": "shop", "table": "orders", "layer": "silver"}


def test_statsd_hears_what_became_of_the_rows(seen: Seen) -> None:
    bronze, gold = {**ORDERS, "layer": "bronze"}, {"pipeline": "shop", "table": "per_day", "layer": "gold"}

    for table in (bronze, ORDERS, gold):
        assert seen.metric(_metrics.LOADS, **table, status="loaded") == 1
        assert (seen.metric(_metrics.SECONDS, **table) or 0) > 0
        assert abs((seen.metric(_metrics.LOADED_AT, **table) or 0) - time.time()) < 600
    assert seen.metric(_metrics.ROWS, **bronze, outcome="inserted") == 3
    silver = {outcome: seen.metric(_metrics.ROWS, **ORDERS, outcome=outcome) for outcome in ("read", "inserted")}
    assert (silver, seen.metric(_metrics.ROWS, **ORDERS, outcome="rejected")) == ({"read": 3, "inserted": 2}, 1)
    assert seen.metric(_metrics.ROWS, **gold, outcome="inserted") == 1
    assert seen.metric(_metrics.REJECT_RATE, **ORDERS) == 0.333333
    assert seen.metric(_metrics.BROKEN_RULES, **ORDERS, severity="error") == 1
    assert seen.metric(_metrics.BROKEN_RULES, **ORDERS, severity="warning") == 1
    assert seen.metric(_metrics.BROKEN_RULES, **gold, severity="warning") == 1
    end_of_interval = datetime(2013, 1, 2, tzinfo=timezone.utc).timestamp()
    assert seen.metric(_metrics.FRESHNESS, **ORDERS) == end_of_interval
    assert seen.metric(_metrics.FRESHNESS, **gold) is None


@pytest.mark.parametrize(("layer", "table"), [("bronze", "orders"), ("silver", "orders"), ("gold", "per_day")])
def test_the_bytes_are_those_of_the_files_there(seen: Seen, layer: str, table: str) -> None:
    files = sum(file.stat().st_size for file in (seen.lake / layer / table).rglob("*.parquet") if _is_data(file))

    assert seen.metric(_metrics.BYTES, pipeline="shop", table=table, layer=layer) == files
    step = "gold.per_day" if layer == "gold" else f"orders.{'merge_silver' if layer == 'silver' else 'ingest_bronze'}"
    assert seen.event(step)["outputs"][0]["outputFacets"]["outputStatistics"]["size"] == files


def _is_data(file: Path) -> bool:
    return not {"_delta_log", "_change_data"} & set(file.parts)


def test_every_line_of_our_operators_says_what_it_is_about(seen: Seen) -> None:
    about = {
        step: next(line for line in seen.lines if line["event"].startswith(step))
        for step in ("ingest_bronze orders", "1 pending", "quality_gate orders", "merge_silver orders", "gold per_day")
    }

    assert {line["pipeline"] for line in about.values()} == {"shop"}
    assert {line["run_id"] for line in about.values()} == {about["1 pending"]["run_id"]}
    assert [line["table"] for line in about.values()] == [*["orders"] * 4, "per_day"]
    batch = about["1 pending"]["event"].removeprefix("1 pending: ")
    for step in ("ingest_bronze orders", "quality_gate orders", "merge_silver orders"):
        assert about[step]["batch_id"] == batch
    assert "batch_id" not in about["gold per_day"]


def test_openlineage_sees_the_source_flow_into_bronze(seen: Seen) -> None:
    event = seen.event("orders.ingest_bronze")
    (source,), (bronze,) = event["inputs"], event["outputs"]

    assert (source["namespace"], source["name"]) == ("file", str(seen.landing / "orders"))
    statistics = source["inputFacets"]["inputStatistics"]
    assert (statistics["rowCount"], statistics["size"], statistics["fileCount"]) == (3, len(DAY), 1)
    assert _schema(bronze) == dict.fromkeys(("id", "name", "day", "price", "pieces"), "string")
    assert bronze["name"] == str(seen.lake / "bronze" / "orders")
    assert bronze["outputFacets"]["outputStatistics"]["rowCount"] == 3
    assert _traced(bronze)["name"] == [(str(seen.landing / "orders"), "name", "IDENTITY", True)]
    assert _traced(bronze)["id"] == [(str(seen.landing / "orders"), "id", "IDENTITY", False)]


def test_openlineage_sees_the_rules_on_bronze_and_the_dead_letters(seen: Seen) -> None:
    event = seen.event("orders.quality_gate")
    (bronze,), (letters,) = event["inputs"], event["outputs"]

    rules = {rule["name"]: rule for rule in bronze["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert (rules["positive"]["success"], rules["positive"]["severity"]) == (False, "error")
    assert (rules["not_many"]["severity"], rules["not_many"]["actual"]) == ("warn", "2")
    assert bronze["inputFacets"]["dataQualityMetrics"]["rowCount"] == 3
    assert letters["name"] == str(seen.lake / "dlq" / "orders")
    assert letters["outputFacets"]["outputStatistics"]["rowCount"] == 1


def test_openlineage_sees_columns_flow_through_silver_into_gold(seen: Seen) -> None:
    (silver,) = seen.event("orders.merge_silver")["outputs"]
    event = seen.event("gold.per_day")
    (gold,) = event["outputs"]
    bronze = str(seen.lake / "bronze" / "orders")

    assert _schema(silver) == {"id": "int", "buyer": "string", "day": "date", "amount": None}
    assert silver["facets"]["version"]["datasetVersion"] == "1"
    assert _traced(silver)["buyer"] == [(bronze, "name", "IDENTITY", False)]
    amount = {("price", "TRANSFORMATION"), ("pieces", "TRANSFORMATION")}
    assert {(column, how) for _, column, how, _ in _traced(silver)["amount"]} == amount
    deciding = silver["facets"]["columnLineage"]["dataset"]
    assert [(found["field"], found["transformations"][0]["subtype"]) for found in deciding] == [("id", "FILTER")]

    assert [found["name"] for found in event["inputs"]] == [silver["name"]]
    assert _schema(gold) == {"day": "date", "amount": "double"}
    assert _traced(gold)["amount"] == [(silver["name"], "amount", "AGGREGATION", False)]
    (rule,) = event["run"]["facets"]["test"]["tests"]
    assert (rule["name"], rule["status"], rule["severity"]) == ("little", "fail", "warn")
    assert event["job"]["facets"]["sql"]["query"].startswith("SELECT day, sum(amount)")


def _schema(dataset: dict[str, Any]) -> dict[str, str | None]:
    return {found["name"]: found.get("type") for found in dataset["facets"]["schema"]["fields"]}


def _traced(dataset: dict[str, Any]) -> dict[str, list[tuple[str, str, str, bool]]]:
    """For each column the dataset and the column that it is made of, how, and whether masked."""
    return {
        column: [
            (found["name"], found["field"], how["subtype"], how["masking"])
            for found in traced["inputFields"]
            for how in found["transformations"]
        ]
        for column, traced in dataset["facets"]["columnLineage"]["fields"].items()
    }
