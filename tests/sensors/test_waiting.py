"""What sensors of every kind do while they wait, and when it was in vain; in turns and in the triggerer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from airflow_ingest.testing.airflow_home import DAY, MakeContext
from tests.factory.conftest import small

if TYPE_CHECKING:
    from airflow.sdk import DAG, BaseSensorOperator

NEXT = DAY + timedelta(days=1)


def made(kind: str, **arguments: Any) -> Any:
    from airflow.sdk import DAG

    from airflow_ingest import sensors

    with DAG("p"):
        return getattr(sensors, kind)(task_id="wait", timeout=0, poke_interval=0, **arguments)


def test_on_timeout(tmp_path: Path, make_context: MakeContext) -> None:
    from airflow.sdk.exceptions import AirflowSensorTimeout, AirflowSkipException

    def wait(how: str) -> None:
        waiting = made("SourceFileSensor", files=f"{tmp_path}/x", mode="poke", on_timeout=how)
        waiting.execute(make_context(waiting))

    with pytest.raises(AirflowSensorTimeout, match="is still not there"):
        wait("fail")
    with pytest.raises(AirflowSkipException, match="is still not there"):
        wait("skip")
    wait("go_on")
    with pytest.raises(ValueError, match="on_timeout is fail, skip or go_on, not 'stop'"):
        wait("stop")


def test_in_the_triggerer(tmp_path: Path, make_context: MakeContext) -> None:
    from airflow.sdk.exceptions import AirflowException, AirflowSkipException, TaskDeferred
    from airflow.triggers.base import BaseTrigger

    waiting = made("SourceFileSensor", files=f"{tmp_path}/x", deferrable=True, on_timeout="skip")
    context = make_context(waiting)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context)
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_ingest.triggers.condition.ConditionTrigger"
    assert json.loads(json.dumps(arguments)) == arguments
    assert arguments["arguments"] == {"files": [f"{tmp_path}/x"], "marker": None, "conn_id": None}
    trigger = cast("BaseTrigger", deferred.value.trigger)

    async def fired() -> Any:
        return await anext(aiter(trigger.run()))

    (tmp_path / "x").write_text("1")
    event = asyncio.run(fired()).payload
    assert event == {"there": True}
    waiting.resume_execution("resume", {"event": event}, context)
    waiting.execute(context)
    with pytest.raises(AirflowException, match="could not look: OSError: gone"):
        waiting.resume_execution("resume", {"event": {"error": "OSError: gone"}}, context)
    with pytest.raises(AirflowSkipException, match="is still not there"):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context)


def test_a_condition_that_cannot_be_asked_fires_with_the_reason() -> None:
    from airflow_ingest.triggers import ConditionTrigger

    trigger = ConditionTrigger("airflow_ingest.sensors.files:all_there", {"nonsense": 1}, 0.01)

    async def fired() -> Any:
        return await anext(aiter(trigger.run()))

    assert asyncio.run(fired()).payload["error"].startswith("TypeError: all_there() got an unexpected keyword")


@pytest.mark.parametrize("scheme", ["", "memory://"], ids=["path", "object-store"])
def test_several_files_and_a_marker(tmp_path: Path, scheme: str) -> None:
    from airflow_ingest.sensors.files import all_there

    def there(files: list[str], marker: str | None = None) -> bool:
        root = f"{scheme}{tmp_path}" if not scheme else "memory://marked"
        if scheme:
            import fsspec  # type: ignore[import-untyped]

            store = fsspec.filesystem("memory")
            store.rm("/marked", recursive=True) if store.exists("/marked") else None
            store.put(str(tmp_path), "/marked", recursive=True)
        return all_there([f"{root}/{file}" for file in files], marker)

    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.csv").write_text("x")
    (tmp_path / "a" / "_SUCCESS").write_text("x")

    assert there(["a/1.csv", "b/*.csv"])
    assert not there(["a/1.csv", "c/*.csv"])
    assert there(["a"], "_SUCCESS")
    assert there(["a/_SUCCESS"])
    assert not there(["b/_SUCCESS"])
    assert not there(["a/1.csv", "b/1.csv"], "_SUCCESS")
    assert not there(["*/1.csv"], "_SUCCESS")
    (tmp_path / "b" / "_SUCCESS").write_text("x")
    assert there(["*/1.csv"], "_SUCCESS")


def test_a_run_with_several_intervals_waits_for_the_files_of_each(make_context: MakeContext) -> None:
    waiting = made("SourceFileSensor", files="in/{{ ds }}.csv")
    context: Any = make_context(waiting, run_type="asset_triggered", interval=None)
    loads = [_load(DAY, NEXT), _load(NEXT, NEXT + timedelta(days=1))]
    events = SimpleNamespace(items=lambda: [(SimpleNamespace(name="a"), [SimpleNamespace(extra={"loads": loads})])])

    waiting.render_template_fields({**context, "triggering_asset_events": events})

    assert waiting.files == ["in/2013-01-05.csv", "in/2013-01-06.csv"]


def _load(start: Any, end: Any) -> dict[str, Any]:
    return {"batch": {"interval": {"start": start.isoformat(), "end": end.isoformat()}}}


@pytest.mark.parametrize(
    ("extras", "there"),
    [
        pytest.param([], False, id="no-event"),
        pytest.param([{}], True, id="an-event-that-tells-no-interval"),
        pytest.param([_load(DAY, NEXT)], True, id="the-same-interval"),
        pytest.param([_load(DAY - timedelta(days=6), NEXT)], True, id="a-week-that-ends-with-it"),
        pytest.param([_load(NEXT - timedelta(hours=1), NEXT)], True, id="its-last-hour"),
        pytest.param([_load(DAY, NEXT - timedelta(hours=1))], False, id="not-to-its-end"),
        pytest.param([_load(NEXT, NEXT + timedelta(days=1))], False, id="the-next-one"),
        pytest.param([{"loads": [_load(NEXT, NEXT + timedelta(days=1)), _load(DAY, NEXT)]}], True, id="among-others"),
    ],
)
def test_an_asset_that_is_loaded_up_to_the_end(
    make_context: MakeContext, extras: list[dict[str, Any]], there: bool
) -> None:
    from airflow.sdk import Asset

    asked: list[str] = []

    class Events(list[Any]):
        def after(self, moment: str) -> Events:
            asked.append(moment)
            return self

        def ascending(self, _: bool) -> Events:
            return self

        def limit(self, _: int) -> Events:
            return self

    waiting = made("AssetLoadedSensor", asset="o.silver.t")
    context: Any = {
        **make_context(waiting),
        "inlet_events": {Asset("o.silver.t"): Events(SimpleNamespace(extra=extra) for extra in extras)},
    }

    assert waiting.poke(context) is there
    assert asked == ["2013-01-06T00:00:00+00:00"]


def _commit(table: Path, version: int, at: int, operation: str = "WRITE", **told: Any) -> None:
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    info = {"timestamp": at, "operation": operation, "userMetadata": json.dumps(told)}
    (log / f"{version:020d}.json").write_text(json.dumps({"commitInfo": info}, separators=(",", ":")) + "\n")


def test_a_delta_table_with_news(tmp_path: Path, make_context: MakeContext) -> None:
    from airflow_ingest.sensors.delta import has_news

    source, bronze = tmp_path / "source", tmp_path / "bronze"

    def news(run: str = "new") -> bool:
        return has_news(str(source), str(bronze), run)

    assert not news()
    _commit(source, 0, at=1000)
    assert news()
    assert has_news(f"file://{source}", None, "new")
    _commit(bronze, 0, at=2000, operation="CREATE TABLE")
    _commit(bronze, 1, at=2001, batch={"versions": {"path": str(source), "to": 0}}, run="old")
    assert not news()
    assert news("old"), "a run that comes again has what it had"
    _commit(source, 1, at=2500, operation="OPTIMIZE")
    assert not news(), "maintenance is no news"
    _commit(source, 2, at=1999)
    assert news(), "versions count, whatever the clocks say"
    _commit(bronze, 2, at=3000, batch={"files": []}, run="old")
    assert not news()
    _commit(source, 3, at=3001)
    assert news()

    waiting = made("DeltaTableSensor", path=str(source), loaded=str(bronze))
    assert waiting.question(make_context(waiting))["loaded"] == str(bronze)
    assert waiting.question(make_context(waiting, run_type="backfill"))["loaded"] is None
    assert "has still no news since" in waiting.missing()


def test_a_run_of_another_dag_for_the_same_interval(make_context: MakeContext) -> None:
    from airflow.sdk import DAG
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

    from airflow_ingest.sensors import UpstreamRunSensor

    waiting = made("UpstreamRunSensor", external_dag_id="other", deferrable=True, on_timeout="skip")
    context = make_context(waiting, run_type="manual", logical_date=NEXT)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute(context)
    assert deferred.value.trigger.serialize()[1]["logical_dates"] == [DAY]
    with pytest.raises(AirflowSkipException, match="other has still no successful run for this interval"):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    with DAG("q"):
        lost = UpstreamRunSensor(task_id="wait", external_dag_id="other")
    with pytest.raises(AirflowFailException, match="and this run has none"):
        lost.poke(make_context(lost, run_type="manual", interval=None))


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Makes a connection of a type; returns its id."""

    def connect(kind: str) -> str:
        told = {"conn_type": kind, "host": str(tmp_path / "desk.db")}
        monkeypatch.setenv("AIRFLOW_CONN_DESK", json.dumps(told))
        return "desk"

    return connect


def test_a_condition_in_sql(desk: Callable[[str], str], make_context: MakeContext) -> None:
    from airflow_ingest.config import IngestError

    def holds(query: str, kind: str = "sqlite") -> bool:
        waiting = made("SqlConditionSensor", conn_id=desk(kind), sql=query)
        context = make_context(waiting)
        waiting.render_template_fields(context)
        found: bool = waiting.poke(context)
        return found

    assert holds("SELECT '{{ ds }}' = '2013-01-05'")
    assert not holds("SELECT 0")
    assert not holds("SELECT 1 WHERE 1 = 0")
    with pytest.raises(IngestError, match="provider is not installed"):
        holds("SELECT 1", kind="postgres")


KINDS = {
    "{timeout: 1h}": ("SourceFileSensor", {"files": "in/{{ ds }}.csv", "marker": None, "deferrable": False}),
    "{timeout: 1h, marker: _OK, mode: deferrable}": ("SourceFileSensor", {"marker": "_OK", "deferrable": True}),
    "{timeout: 1h, files: [a, b]}": ("SourceFileSensor", {"files": ["a", "b"]}),
    "{timeout: 1h, pipeline: o, mode: deferrable}": (
        "UpstreamRunSensor",
        {"external_dag_id": "o", "deferrable": True, "mode": "reschedule"},
    ),
    "{timeout: 1h, asset: o.silver.t}": ("AssetLoadedSensor", {"asset": "o.silver.t"}),
    "{timeout: 1h, delta: silver.t}": (
        "DeltaTableSensor",
        {"path": "./lake/silver/t", "loaded": "./lake/bronze/orders"},
    ),
    "{timeout: 1h, delta: 's3://b/t'}": ("DeltaTableSensor", {"path": "s3://b/t"}),
    "{timeout: 1h, sql: {conn_id: c, query: SELECT 1}, on_timeout: go_on}": (
        "SqlConditionSensor",
        {"conn_id": "c", "sql": "SELECT 1", "on_timeout": "go_on", "timeout": 3600, "poke_interval": 60},
    ),
}


@pytest.mark.parametrize(("wait", "sensor"), KINDS.items(), ids=[*KINDS])
def test_what_a_pipeline_file_asks_for(
    build: Callable[[str], DAG], wait: str, sensor: tuple[str, dict[str, Any]]
) -> None:
    dag = build(small().replace("{timeout: 1h, poll: 30s}", wait).replace("{LAKE_SECRET:-in}", "{NOTHING:-in}"))
    task: BaseSensorOperator = dag.get_task("orders.wait_for_source")  # type: ignore[assignment]

    assert (task.task_type, {name: getattr(task, name) for name in sensor[1]}) == sensor
