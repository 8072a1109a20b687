"""The operators by hand, in an ordinary DAG: one table from a CSV file a day through bronze and silver to gold."""

import os
from datetime import datetime, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from airflow_ingest.operators import (
    BronzeIngestOperator,
    GoldAggregateOperator,
    HoldBatchOperator,
    PendingBatchesOperator,
    ProfileOperator,
    QualityGateOperator,
    SilverMergeOperator,
)
from airflow_ingest.sensors import SourceFileSensor

LANDING = os.environ.get("LANDING_ROOT", "./landing")
LAKE = os.environ.get("LAKE_ROOT", "./lake")

FILES = f"{LANDING}/flights/{{{{ ds }}}}.csv"
FLIGHTS = {
    "source": {"files": FILES, "format": "csv", "options": {"header": True}},
    "silver": {
        "columns": {
            "day": {"expr": "make_date(int(year), int(month), int(day))"},
            "carrier": "string",
            "flight": "int",
            "origin": "string",
            "sched_dep_time": "int",
            "distance": "int",
        },
        "keys": ["day", "carrier", "flight", "origin", "sched_dep_time"],
        "partition_by": ["day"],
    },
    "quality": {"rules": [{"expect": "distance > 0"}, {"row_count": {"min": 1}}]},
}
BY_ORIGIN = {
    "sql": "SELECT day, origin, count(*) AS flights FROM silver.departures GROUP BY day, origin",
    "load": "replace",
    "partition_by": ["day"],
}

with DAG(
    "example_operators",
    schedule=CronDataIntervalTimetable("@daily", timezone="UTC"),
    start_date=datetime(2013, 1, 1, tzinfo=timezone.utc),
    end_date=datetime(2013, 1, 31, tzinfo=timezone.utc),
    default_args={"lake": LAKE},
    tags=["demo"],
    doc_md=__doc__,
):
    wait = SourceFileSensor(task_id="wait", files=FILES, timeout=3600, poke_interval=30)
    ingest = BronzeIngestOperator(task_id="ingest", table="departures", spec=FLIGHTS)
    pending = PendingBatchesOperator(task_id="pending", batches=ingest.output)
    gate = QualityGateOperator(
        task_id="gate",
        table="departures",
        spec=FLIGHTS,
        batches=pending.output,
        publish_task_id="merge",
        hold_task_id="hold",
    )
    merge = SilverMergeOperator(task_id="merge", table="departures", spec=FLIGHTS, batches=gate.output)
    hold = HoldBatchOperator(task_id="hold", table="departures", spec=FLIGHTS, outcomes=gate.output)
    gold = GoldAggregateOperator(task_id="gold", table="by_origin", spec=BY_ORIGIN, trigger_rule="none_failed")
    profile = ProfileOperator(task_id="profile", table="departures")

    wait >> ingest
    merge >> [gold, profile]
