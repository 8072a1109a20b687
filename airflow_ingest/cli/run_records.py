"""The runs of the command line in `ops/runs`, and the circuit breaker before them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_ingest.cli.console import notes
from airflow_ingest.cli.report import TableRun
from airflow_ingest.config import Pipeline

if TYPE_CHECKING:
    from airflow_ingest.cli.sessions import Sessions
    from airflow_ingest.lakehouse import RunInfo

__all__ = ["stopped", "write_down"]


def stopped(pipeline: Pipeline, run: "RunInfo", sessions: "Sessions") -> str:
    """Why the pipeline's circuit breaker lets the run not go on; empty if it does, or if there is none."""
    from airflow_ingest.lakehouse import Lake, pass_circuit

    breaker = pipeline.circuit_breaker
    if breaker is None:
        return ""
    with sessions.borrow() as spark:
        return pass_circuit(spark, Lake(pipeline.lake, pipeline.pipeline), breaker, run).stops(run.run_id)


def write_down(
    pipeline: Pipeline, run: "RunInfo", began: datetime, found: Sequence[TableRun], sessions: "Sessions"
) -> None:
    """Writes what the run did with each table into the lake's `ops/runs`, or says why it could not."""
    from airflow_ingest.cli.steps import explained
    from airflow_ingest.lakehouse import Lake, TableRecord, record_runs
    from airflow_ingest.lakehouse.runs import counted

    records = [
        TableRecord.of(
            run,
            began,
            table=table.table,
            seconds=table.took,
            status=table.state,
            error=table.message if table.state not in ("loaded", "unchanged") else "",
            rows=counted(table.ingest, table.gates, table.published),
        )
        for table in found
        if table.state != "profiled" and not table.table.endswith(".profile")
    ]
    try:
        with sessions.borrow() as spark:
            record_runs(spark, Lake(pipeline.lake, pipeline.pipeline), run, records)
    except Exception as error:
        notes().print(f"The run could not be written to ops/runs: {explained(error)}", markup=False)
