"""The operator that looks after tables: its turn with each, and what it says when one goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_ingest import lakehouse
from airflow_ingest.config import IngestError
from airflow_ingest.factory import load_dags
from airflow_ingest.lakehouse import LakehouseError, Maintained
from airflow_ingest.lakehouse.maintenance import layout
from airflow_ingest.operators import MaintenanceOperator
from airflow_ingest.operators.maintenance import describe_maintenance
from airflow_ingest.runtime import session
from tests.factory.conftest import SMALL


@contextmanager
def no_spark(*_: object) -> Iterator[None]:
    yield None


def execute(operator: MaintenanceOperator, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(MaintenanceOperator, "spark", no_spark)
    run = SimpleNamespace(run_id="r", run_type="scheduled", data_interval_start=None, data_interval_end=None)
    context: Any = {"dag_run": run, "dag": SimpleNamespace(dag_id="ingest_maintenance")}
    return operator.execute(context)


def test_every_table_has_its_turn_and_a_failure_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str, timedelta | None]] = []

    def maintain(_: object, lake: Any, target: Any, run_id: str, *, retain: timedelta | None) -> Maintained | None:
        seen.append((lake.pipeline, target.table, retain))
        if target.table == "silver.orders":
            raise LakehouseError("no good")
        return None if target.table == "gold.none" else Maintained(table=target.table, status="maintained")

    monkeypatch.setattr(lakehouse, "maintain_table", maintain, raising=False)
    targets: list[Any] = ["bronze.orders", {"table": "silver.orders", "cluster_by": ["id"]}, "gold.none", "gold.daily"]
    operator = MaintenanceOperator(task_id="m", lake="lake", pipeline="shop", targets=targets, retain=timedelta(days=8))

    with pytest.raises(IngestError, match=r"1 of 4 tables went wrong:\nsilver\.orders: no good"):
        execute(operator, monkeypatch)

    tables = ["bronze.orders", "silver.orders", "gold.none", "gold.daily"]
    assert seen == [("shop", table, timedelta(days=8)) for table in tables]
    operator.targets.pop(1)
    assert [done["table"] for done in execute(operator, monkeypatch)] == ["bronze.orders", "gold.daily"]


@pytest.mark.parametrize("target", ["orders", "mart.orders", "silver.", {"zorder_by": ["a"]}], ids=str)
def test_a_table_is_named_by_layer_and_name(target: Any) -> None:
    with pytest.raises(ValueError, match="write a table as its layer and name"):
        MaintenanceOperator(task_id="m", lake="lake", targets=[target])


def test_a_retention_below_seven_days_is_refused_at_once() -> None:
    with pytest.raises(LakehouseError, match="Keep them for 7d"):
        MaintenanceOperator(task_id="m", lake="lake", targets=[], retain=timedelta(days=1))


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.usefixtures("spark_server")
def test_the_dags_task_maintains_a_real_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "SMALL_FILES", 2)
    pipeline = SMALL.format(name="shop", extra="").replace("${LAKE_SECRET:-./lake}", str(tmp_path / "lake"))
    (tmp_path / "shop.yaml").write_text(pipeline)
    with session() as spark:
        path = f"{tmp_path}/lake/silver/orders"
        spark.sql(f"CREATE TABLE delta.`{path}` (id int) USING delta TBLPROPERTIES ('ingest.pipeline' = 'shop')")
        for _ in range(2):
            spark.range(4).selectExpr("int(id)").repartition(2).write.format("delta").mode("append").save(path)
    task: Any = load_dags(tmp_path)["ingest_maintenance"].get_task("shop")
    task.spark_conn_id = None
    run = SimpleNamespace(run_id="r", run_type="scheduled", data_interval_start=None, data_interval_end=None)

    (done,) = task.execute({"dag_run": run, "dag": task.dag, "ti": SimpleNamespace()})

    assert (done["table"], done["status"], done["files_before"], done["files_after"]) == (
        "silver.orders",
        "maintained",
        4,
        1,
    )


def test_a_line_says_what_was_done() -> None:
    done = Maintained(
        table="gold.daily",
        status="maintained",
        layout="sorted by carrier",
        files_before=40,
        files_after=2,
        bytes_before=4000,
        bytes_after=2000,
        removed_files=1200,
        seconds=2.25,
    )
    assert describe_maintenance(done) == (
        "maintenance gold.daily: maintained; sorted by carrier: 40 → 2 files, 4,000 → 2,000 bytes; "
        "1,200 files of older versions removed; 2.2 s"
    )
