"""The operators by hand, as tasks of a real run on real Spark, on days with corners."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk import DAG
    from pyspark.sql import SparkSession

    from airflow_ingest.runtime import ServerStatus
    from airflow_ingest.testing.airflow_home import MakeContext, RunDag

pytestmark = [pytest.mark.spark, pytest.mark.airflow]
SPEC: dict[str, Any] = {
    "source": {"files": "{landing}/{{{{ ds }}}}.csv", "format": "csv", "options": {"header": True}},
    "silver": {
        "columns": {"id": "int", "city": "string", "amount": "double", "seq": "int", "day": "date"},
        "keys": ["id"],
        "sequence_by": ["seq"],
        "partition_by": ["day"],
    },
    "quality": {"max_reject_rate": "50%", "rules": [{"name": "positive", "expect": "amount > 0"}]},
}
GOLD = {
    "sql": "SELECT day, sum(amount) AS amount FROM silver.orders GROUP BY day",
    "load": "overwrite",
    "quality": {"rules": [{"name": "little", "expect": "amount < 10", "severity": "warning"}]},
}
# a key twice, a value that does not cast, an amount that breaks the rule
DAY_1 = """id,city,amount,seq,day
1,Köln,5,1,2013-01-01
1,Bonn,6,2,2013-01-01
2,Ulm,many,1,2013-01-01
3,Trier,-1,1,2013-01-01
4,Fulda,7,1,2013-01-01
"""
PROFILED = """pipeline: shop
schedule: "@daily"
start_date: 2013-01-01
retries: {attempts: 1}
circuit_breaker: {failures: 3}
lake: LAKE
tables:
  orders:
    source: {files: "LANDING/{{ ds }}.csv", format: csv, options: {header: true}}
    silver: {columns: {id: int, amount: double, day: date}, keys: [id], profile: true}
gold:
  per_day: {sql: "SELECT day, sum(amount) AS amount FROM silver.orders GROUP BY day", profile: true}
"""
ALL_BAD = """id,city,amount,seq,day
9,Ulm,-1,1,2013-01-02
8,Ulm,-2,1,2013-01-02
"""


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    (folder / "2013-01-01.csv").write_text(DAY_1)
    (folder / "2013-01-02.csv").write_text(ALL_BAD)
    return folder


def spec(landing: Path) -> dict[str, Any]:
    source = {**SPEC["source"], "files": f"{landing}/{{{{ ds }}}}.csv"}
    return {**SPEC, "source": source}


@pytest.fixture
def dag(landing: Path, tmp_path: Path, spark_server: ServerStatus) -> DAG:
    """Every operator, wired by hand."""
    from airflow.sdk import DAG, Asset, CronDataIntervalTimetable

    from airflow_ingest.operators import (
        BronzeIngestOperator,
        GoldAggregateOperator,
        HoldBatchOperator,
        PendingBatchesOperator,
        QualityGateOperator,
        SilverMergeOperator,
    )

    common: dict[str, Any] = {"table": "orders", "spec": spec(landing)}
    with DAG(
        "by_hand",
        schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
        start_date=datetime(2013, 1, 1, tzinfo=timezone.utc),
        default_args={"lake": str(tmp_path / "lake")},
    ) as dag:
        ingest = BronzeIngestOperator(task_id="ingest", **common)
        pending = PendingBatchesOperator(task_id="pending", batches=ingest.output)
        gate = QualityGateOperator(
            task_id="gate", batches=pending.output, publish_task_id="merge", hold_task_id="hold", **common
        )
        merge = SilverMergeOperator(task_id="merge", batches=gate.output, outlets=[Asset("orders")], **common)
        HoldBatchOperator(task_id="hold", outcomes=gate.output, **common)
        gold = GoldAggregateOperator(
            task_id="gold", table="per_day", spec=GOLD, trigger_rule="none_failed", outlets=[Asset("per_day")]
        )
        merge >> gold
    return dag


def states(run: DagRun) -> dict[str, str]:
    return {each.task_id: str(each.state) for each in run.get_task_instances()}


def result_of(run: DagRun, task: str) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    found = XComModel.get_many(key="return_value", dag_ids=run.dag_id, task_ids=task, run_id=run.run_id)
    with create_session() as session:
        return XComModel.deserialize_value(session.scalars(found).one())


def rows(spark: SparkSession, path: Path, columns: str) -> list[tuple[Any, ...]]:
    table = spark.read.format("delta").load(str(path))
    return sorted(tuple(row) for row in table.selectExpr(*columns.split()).collect())


def events(asset: str) -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
        return list(session.scalars(found.where(AssetModel.name == asset).order_by(AssetEvent.id.desc())))


def test_a_day_and_the_same_day_again(dag: DAG, run_dag: RunDag, spark: SparkSession, tmp_path: Path) -> None:
    day = datetime(2013, 1, 2, tzinfo=timezone.utc)  # a run triggered then loads the last complete day

    first = run_dag(dag, day)

    assert states(first) == {
        "ingest": "success",
        "pending": "success",
        "gate": "success",
        "hold": "skipped",
        "merge": "success",
        "gold": "success",
    }
    silver = [(1, "Bonn", 6.0), (4, "Fulda", 7.0)]
    assert rows(spark, tmp_path / "lake/silver/orders", "id city amount") == silver
    assert rows(spark, tmp_path / "lake/gold/per_day", "string(day) amount") == [("2013-01-01", 13.0)]

    event = events("orders")[0]
    assert event["rows"]["read"] == 5
    assert (event["rows"]["inserted"], event["rows"]["rejected"], event["rows"]["deduplicated"]) == (2, 2, 1)
    assert event["batch"]["interval"] == {"start": "2013-01-01T00:00:00Z", "end": "2013-01-02T00:00:00Z"}
    assert event["watermark_to"] == "2013-01-02T00:00:00Z"
    positive = {"name": "positive", "severity": "error", "passed": False, "failing": 2, "value": None}
    assert event["quality"] == [positive], "-1, and what does not cast: NULL breaks an expect"
    of_gold = events("per_day")[0]
    assert of_gold["quality"] == [
        {"name": "little", "severity": "warning", "passed": False, "failing": 1, "value": None}
    ]
    assert "rules" not in of_gold, "samples stay out of events"

    again = run_dag(dag, day)

    assert states(again)["merge"] == "success"
    assert rows(spark, tmp_path / "lake/silver/orders", "id city amount") == silver


@pytest.mark.slow
def test_rejected_rows_are_replayed_with_a_fix(
    dag: DAG, run_dag: RunDag, make_context: MakeContext, landing: Path, spark: SparkSession, tmp_path: Path
) -> None:
    from airflow.sdk import DAG

    from airflow_ingest.operators import DlqReplayOperator

    run_dag(dag, datetime(2013, 1, 2, tzinfo=timezone.utc))
    common: dict[str, Any] = {"lake": str(tmp_path / "lake"), "pipeline": "by_hand", "table": "orders"}
    with DAG("replay", params={"preview": True, "since": "2013-01-01T00:00:00Z", "city": "Ulm"}):
        replay = DlqReplayOperator(
            task_id="replay",
            spec=spec(landing),
            since="{{ params.since }}",
            preview="{{ params.preview }}",
            limit="10",
            fix={"amount": "if(city = '{{ params.city }}', '3', amount)"},
            **common,
        )
    context = make_context(replay, run_type="manual", interval=None)
    replay.render_template_fields(context)

    replay.execute(context)
    assert rows(spark, tmp_path / "lake/silver/orders", "id") == [(1,), (4,)]

    replay.preview = False
    replay.execute(context)
    assert rows(spark, tmp_path / "lake/silver/orders", "id amount") == [(1, 6.0), (2, 3.0), (4, 7.0)]


def test_a_day_that_the_gate_blocks_is_held_and_the_run_is_red(
    dag: DAG, run_dag: RunDag, spark: SparkSession, tmp_path: Path
) -> None:
    run_dag(dag, datetime(2013, 1, 2, tzinfo=timezone.utc))

    held = run_dag(dag, datetime(2013, 1, 3, tzinfo=timezone.utc))

    assert str(held.state) == "failed"
    assert {task: state for task, state in states(held).items() if task in ("gate", "hold", "merge")} == {
        "gate": "success",
        "hold": "failed",
        "merge": "skipped",
    }
    assert states(held)["gold"] == "skipped"  # nothing new in silver
    assert rows(spark, tmp_path / "lake/silver/orders", "id") == [(1,), (4,)]


@pytest.mark.slow
def test_a_gate_with_one_good_and_one_bad_batch_takes_both_ways(
    dag: DAG,
    landing: Path,
    tmp_path: Path,
    run_dag: RunDag,
    spark: SparkSession,
) -> None:
    from airflow.sdk import DAG

    from airflow_ingest.config import parse_table
    from airflow_ingest.lakehouse import Interval, Lake, RunInfo, ingest_bronze
    from airflow_ingest.operators import HoldBatchOperator, QualityGateOperator, SilverMergeOperator

    table, lake = parse_table(spec(landing)), Lake(str(tmp_path / "lake"), "two_ways")
    batches = []
    for number in (1, 2):
        start, end = (datetime(2013, 1, day, tzinfo=timezone.utc) for day in (number, number + 1))
        interval = Interval(start=start, end=end)
        run = RunInfo(pipeline="two_ways", run_id="r", interval=interval, kind="backfill")
        loaded = ingest_bronze(spark, lake, "orders", table, run, files=str(landing / f"2013-01-0{number}.csv"))
        assert loaded.batch
        batches.append(loaded.batch.to_dict())
    common: dict[str, Any] = {"lake": lake.root, "table": "orders", "spec": table}
    with DAG("two_ways") as both:
        gate = QualityGateOperator(
            task_id="gate", batches=batches, publish_task_id="merge", hold_task_id="hold", **common
        )
        SilverMergeOperator(task_id="merge", batches=gate.output, **common)
        HoldBatchOperator(task_id="hold", outcomes=gate.output, **common)

    found = states(run_dag(both, None))

    assert found == {"gate": "success", "merge": "success", "hold": "failed"}
    assert rows(spark, tmp_path / "lake/silver/orders", "id") == [(1,), (4,)]


@pytest.mark.slow
def test_a_gate_on_bronze_is_red_for_a_batch_that_breaks_its_rules(
    landing: Path, run_dag: RunDag, tmp_path: Path, spark_server: ServerStatus
) -> None:
    from airflow.sdk import DAG, CronDataIntervalTimetable

    from airflow_ingest.operators import BronzeIngestOperator, QualityGateOperator

    common: dict[str, Any] = {"lake": str(tmp_path / "lake"), "table": "raw"}
    common["spec"] = {"source": spec(landing)["source"], "quality": {"rules": [{"row_count": {"min": 5}}]}}
    with DAG(
        "on_bronze",
        schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
        start_date=datetime(2013, 1, 1, tzinfo=timezone.utc),
    ) as on_bronze:
        ingest = BronzeIngestOperator(task_id="ingest", **common)
        QualityGateOperator(task_id="gate", batches=ingest.output, **common)

    good = run_dag(on_bronze, datetime(2013, 1, 2, tzinfo=timezone.utc))
    bad = run_dag(on_bronze, datetime(2013, 1, 3, tzinfo=timezone.utc))

    assert states(good) == {"ingest": "success", "gate": "success"}
    assert states(bad) == {"ingest": "success", "gate": "failed"}


@pytest.mark.parametrize("run_type", ["scheduled", "backfill"])
@pytest.mark.slow
def test_an_operator_works_in_every_kind_of_run(
    dag: DAG, make_context: MakeContext, run_type: str, spark: SparkSession, tmp_path: Path
) -> None:
    ingest: Any = dag.get_task("ingest")
    interval = (datetime(2013, 1, 1, tzinfo=timezone.utc), datetime(2013, 1, 2, tzinfo=timezone.utc))
    context = make_context(ingest, run_type=run_type, interval=interval)
    ingest.render_template_fields(context)

    result = ingest.execute(context)

    assert (result["status"], result["rows"]["read"]) == ("loaded", 5)
    assert [batch["id"] for batch in result["pending"]] == [result["batch"]["id"]]
    assert len(rows(spark, tmp_path / "lake/bronze/orders", "id")) == 5


@pytest.mark.parametrize(("tries", "written_down"), [((1, 2), False), ((3, 2), True)], ids=["first try", "last try"])
def test_a_missing_file_is_told_in_one_sentence_and_written_down_when_given_up(
    dag: DAG,
    make_context: MakeContext,
    landing: Path,
    spark: SparkSession,
    tmp_path: Path,
    tries: tuple[int, int],
    written_down: bool,
) -> None:
    from airflow_ingest.lakehouse import Lake, SourceNotFound, failed_loads

    ingest: Any = dag.get_task("ingest")
    (landing / "2013-01-01.csv").unlink()
    interval = (datetime(2013, 1, 1, tzinfo=timezone.utc), datetime(2013, 1, 2, tzinfo=timezone.utc))
    context: Any = make_context(ingest, interval=interval)
    context["ti"] = SimpleNamespace(try_number=tries[0], max_tries=tries[1])
    ingest.render_template_fields(context)

    with pytest.raises(SourceNotFound, match=r"landing/2013-01-01\.csv") as caught:
        ingest.execute(context)

    assert "JVM" not in str(caught.value)
    assert len(str(caught.value)) < 300
    found = failed_loads(spark, Lake(str(tmp_path / "lake"), "by_hand"), "orders")
    assert [(failure.step, failure.attempts, failure.kind) for failure in found] == (
        [("ingest", 3, "SourceNotFound")] if written_down else []
    )
    assert all(failure.source.endswith("2013-01-01.csv") and failure.error == str(caught.value) for failure in found)


@pytest.mark.slow
def test_mapped_tasks_load_their_own_parts_of_one_table(
    landing: Path, run_dag: RunDag, spark: SparkSession, spark_server: ServerStatus, tmp_path: Path
) -> None:
    from airflow.sdk import DAG, CronDataIntervalTimetable

    from airflow_ingest.operators import BronzeIngestOperator, PendingBatchesOperator, SilverMergeOperator

    files = [landing / "west.csv", landing / "east.csv"]
    for number, file in enumerate(files, start=1):
        file.write_text(f"id,city,amount,seq,day\n{number},Ulm,5,1,2013-01-01\n")
    common: dict[str, Any] = {"lake": str(tmp_path / "lake"), "table": "orders", "spec": spec(landing)}

    def mapped(paths: list[Path]) -> DAG:
        with DAG(
            "mapped",
            schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
            start_date=datetime(2013, 1, 1, tzinfo=timezone.utc),
        ) as dag:
            ingest = BronzeIngestOperator.partial(task_id="ingest", **common).expand(files=list(map(str, paths)))
            pending = PendingBatchesOperator(task_id="pending", batches=ingest.output)
            SilverMergeOperator(task_id="merge", batches=pending.output, **common)
        return dag

    day = datetime(2013, 1, 2, tzinfo=timezone.utc)
    run_dag(mapped(files), day)
    assert rows(spark, tmp_path / "lake/silver/orders", "id amount") == [(1, 5.0), (2, 5.0)]

    files[0].write_text("id,city,amount,seq,day\n1,Ulm,6,2,2013-01-01\n")
    run_dag(mapped(files[::-1]), day)  # in another order: each finds its own
    assert rows(spark, tmp_path / "lake/silver/orders", "id amount") == [(1, 6.0), (2, 5.0)]
    assert len(rows(spark, tmp_path / "lake/bronze/orders", "id")) == 2


@pytest.mark.slow
def test_a_profile_that_fails_turns_the_run_red_and_takes_nothing_back(
    landing: Path,
    run_dag: RunDag,
    spark: SparkSession,
    spark_server: ServerStatus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_ingest import lakehouse
    from airflow_ingest.factory.loader import load_dag

    (landing / "2013-01-01.csv").write_text("id,amount,day\n1,5,2013-01-01\n2,6,2013-01-01\n")
    (landing / "2013-01-02.csv").write_text("id,amount,day\n3,3,2013-01-02\n")
    text = PROFILED.replace("LANDING", str(landing)).replace("LAKE", str(tmp_path / "lake"))
    (tmp_path / "shop.yaml").write_text(text)
    dag = load_dag(tmp_path / "shop.yaml")

    first = run_dag(dag, datetime(2013, 1, 2, tzinfo=timezone.utc))

    assert str(first.state) == "success"
    assert {states(first)[task] for task in ("orders.profile", "gold.per_day.profile")} == {"success"}
    assert rows(spark, tmp_path / "lake/ops/profiles", "layer table name rows nulls") == [
        ("gold", "per_day", "amount", 1, 0),
        ("gold", "per_day", "day", 1, 0),
        *(("silver", "orders", name, 2, 0) for name in ("amount", "day", "id")),
    ]

    told = result_of(first, "record_run")
    assert (told["circuit"]["state"], sorted(told["tables"])) == ("closed", ["gold.per_day", "orders"])
    orders = {"status": "loaded", "open_letters": 0, "held": 0, "watermark": "2013-01-02T00:00:00+00:00"}
    assert orders.items() <= told["tables"]["orders"].items()
    assert told["tables"]["orders"]["rows"]["inserted"] == 2
    assert all(table["version"] is not None for table in told["tables"].values())

    def broken(*_: Any, **__: Any) -> None:
        raise lakehouse.LakehouseError("no profile today")

    monkeypatch.setattr(lakehouse, "profile_table", broken)
    second = run_dag(dag, datetime(2013, 1, 3, tzinfo=timezone.utc))

    assert str(second.state) == "failed"
    assert {task for task, state in states(second).items() if state == "failed"} == {
        "orders.profile",
        "gold.per_day.profile",
    }
    assert rows(spark, tmp_path / "lake/gold/per_day", "string(day) amount") == [
        ("2013-01-01", 11.0),
        ("2013-01-02", 3.0),
    ]
    found = lakehouse.failed_loads(spark, lakehouse.Lake(str(tmp_path / "lake"), "shop"))
    assert sorted((failure.table, failure.step) for failure in found) == [
        ("orders", "orders.profile"),
        ("per_day", "gold.per_day.profile"),
    ]
