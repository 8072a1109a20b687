"""How datasets are named, and what operators tell before they have done anything."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from airflow_ingest.config import Source
from airflow_ingest.lakehouse import Database, Lake
from airflow_ingest.operators import (
    BronzeIngestOperator,
    GoldAggregateOperator,
    MaintenanceOperator,
    QualityGateOperator,
    SilverMergeOperator,
)
from airflow_ingest.operators._lineage import Name, files_name, name_of, source_names

LAKE = Lake("s3a://lake/root", "shop")
SPEC: dict[str, Any] = {
    "source": {"files": "/in/{{ ds }}/orders.csv", "format": "csv"},
    "silver": {"columns": {"id": "int"}, "keys": ["id"]},
}


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("/lake/silver/orders", Name("file", "/lake/silver/orders")),
        ("file:///lake/a%20b", Name("file", "/lake/a b")),
        ("s3a://bucket/lake/silver/orders", Name("s3://bucket", "lake/silver/orders")),
        ("s3://bucket", Name("s3://bucket", "/")),
        ("gs://bucket/x/", Name("gs://bucket", "x")),
        ("abfss://box@account.dfs.core.windows.net/x", Name("abfss://box@account.dfs.core.windows.net", "x")),
        ("hdfs://nn:8020/lake/x", Name("hdfs://nn:8020", "/lake/x")),
        ("sftp://me:secret@host/x", Name("sftp://host", "/x")),
    ],
)
def test_names_follow_openlineage(where: str, name: Name) -> None:
    assert name_of(where) == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ("/in/airlines.csv", "/in/airlines.csv"),
        ("/in/flights/{{ ds }}.csv", "/in/flights"),
        ("/in/{{ ds }}/flights.csv", "/in"),
        ("/in/flights/*/part-?.csv", "/in/flights"),
    ],
)
def test_a_source_is_one_dataset_whatever_day_a_run_loads(files: str, name: str) -> None:
    assert files_name(files) == Name("file", name)


@pytest.mark.parametrize(
    ("jdbc", "url", "names"),
    [
        (
            {"table": "sales.orders"},
            "jdbc:postgresql://db:5432/shop",
            [Name("postgres://db:5432", "shop.sales.orders")],
        ),
        ({"table": "orders"}, "jdbc:postgresql://db:5432/shop", [Name("postgres://db:5432", "shop.public.orders")]),
        (
            {"query": "SELECT * FROM a.x JOIN b.y USING (k)"},
            "jdbc:postgresql://me:secret@db:5432/shop?password=secret",
            [Name("postgres://db:5432", "shop.a.x"), Name("postgres://db:5432", "shop.b.y")],
        ),
        ({"table": "orders"}, "jdbc:mysql://db:3306/shop", [Name("mysql://db:3306", "shop.orders")]),
    ],
)
def test_databases_are_named_without_their_secrets(jdbc: dict[str, str], url: str, names: list[Name]) -> None:
    source = Source.model_validate({"jdbc": {"conn_id": "db", **jdbc}})

    assert source_names(LAKE, source, None, Database("db", url, {}, "driver")) == names


def test_a_delta_source_is_the_table_that_it_names() -> None:
    ours, others = ({"table": "silver.rates"}, {"path": "s3://other/rates"})

    found = [source_names(LAKE, Source.model_validate({"delta": delta}), None, None) for delta in (ours, others)]

    assert found == [[Name("s3://lake", "root/silver/rates")], [Name("s3://other", "rates")]]


def test_a_step_that_failed_at_once_tells_what_it_reads_and_writes() -> None:
    common: dict[str, Any] = {"lake": "s3://lake", "table": "orders", "pipeline": "shop", "spec": SPEC}
    ingest = BronzeIngestOperator(task_id="ingest", **common)
    gate = QualityGateOperator(task_id="gate", batches=[], publish_task_id="merge", **common)
    merge = SilverMergeOperator(task_id="merge", batches=[], **common)
    sql = {"sql": "SELECT id FROM silver.orders"}
    gold = GoldAggregateOperator(task_id="gold", lake="s3://lake", table="ids", pipeline="shop", spec=sql)

    told = [operator.get_openlineage_facets_on_failure(None) for operator in (ingest, gate, merge, gold)]

    flows = [([i.name for i in one.inputs], [o.name for o in one.outputs]) for one in told if one]
    assert flows == [
        (["/in"], ["bronze/orders"]),
        (["bronze/orders"], []),
        (["bronze/orders"], ["silver/orders"]),
        (["silver/orders"], ["gold/ids"]),
    ]
    assert told[1] is not None
    assert told[1].inputs[0].inputFacets == {}, "nothing is claimed that was not seen"


def test_a_step_without_a_table_tells_nothing() -> None:
    operator = MaintenanceOperator(task_id="m", lake="/lake", pipeline="shop", targets=["silver.orders"])

    told = operator.get_openlineage_facets_on_complete(None)

    assert told is not None
    assert (told.inputs, told.outputs) == ([], [])


def test_without_the_provider_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.openlineage.extractors", None)
    merge = SilverMergeOperator(task_id="m", lake="/l", table="orders", pipeline="shop", spec=SPEC, batches=[])

    assert merge.get_openlineage_facets_on_complete(None) is None
