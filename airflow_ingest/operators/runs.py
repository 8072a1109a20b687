"""What stands before and behind a pipeline's steps: may the run go on, and what has it done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from airflow.sdk import BaseXCom, SkipMixin

from airflow_ingest._context import run_info
from airflow_ingest.graph import GOLD_GROUP, StepKind
from airflow_ingest.graph.model import BEHIND, CHECK_CIRCUIT, RECORD_RUN
from airflow_ingest.operators._base import LakehouseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pyspark.sql import SparkSession

    from airflow_ingest.config import CircuitBreaker
    from airflow_ingest.lakehouse import FailedLoad, Lake, RunInfo, TableRecord
    from airflow_ingest.lakehouse.runs import RunStatus

_AROUND = (CHECK_CIRCUIT, *BEHIND)


class CheckCircuitOperator(LakehouseOperator, SkipMixin):
    """Stop the run while the pipeline's circuit breaker is open: all below is skipped, whatever the trigger rules say.

    Returns the circuit's state.

    :param breaker: when it opens, and for how long
    """

    inherits_from_skipmixin = True
    of_one_table = False
    ui_color = "#e6e0f5"

    def __init__(self, *, breaker: CircuitBreaker, **kwargs: Any) -> None:
        super().__init__(**{"table": CHECK_CIRCUIT, **kwargs})
        self.breaker = breaker

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, log, and skip what is below if the circuit is open."""
        from airflow_ingest.lakehouse import describe_circuit, pass_circuit

        run = run_info(context, self.pipeline)
        with self.spark(context, run) as spark:
            circuit = pass_circuit(spark, self.lake_of(run), self.breaker, run)
        self.log.info("The circuit is %s", describe_circuit(circuit, self.breaker))
        if why := circuit.stops(run.run_id):
            self.log.warning("This run is stopped: %s", why)
            context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, circuit.to_dict())  # skip never returns
            below = context["task"].get_flat_relatives(upstream=False)
            self.skip(ti=context["ti"], tasks=[task for task in below if not task.is_teardown])
        return circuit.to_dict()


class RecordRunOperator(LakehouseOperator):
    """Write into `ops/runs` what the run did with every table. It never fails a run: what goes wrong is logged.

    Returns what it wrote, as `{"tables": {<table>: <record>}, "circuit": <circuit>}`, or None if it could not. A record
    is a `TableRecord`, with `version` where one was published, and of a table that the run worked on, its `Standing`
    now. The circuit is as it stands after the run, None without a breaker.

    :param tables: the pipeline's tables
    :param gold: its gold tables
    :param breaker: its circuit breaker, if it has one
    """

    of_one_table = False
    ui_color = "#eeeeee"

    def __init__(
        self, *, tables: Sequence[str], gold: Sequence[str], breaker: CircuitBreaker | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**{"table": RECORD_RUN, "retries": 0, **kwargs})
        self.tables = tuple(tables)
        self.gold = tuple(gold)
        self.breaker = breaker

    def execute(self, context: Context) -> dict[str, Any] | None:
        """Look at the run's tasks and write; a failure is logged as a warning."""
        from airflow_ingest.lakehouse import failed_loads, read_circuit, record_runs

        run, ti = run_info(context, self.pipeline), context["ti"]
        dag_id, run_id = context["dag"].dag_id, run.run_id
        try:
            states = ti.get_task_states(dag_id, run_ids=[run_id])[run_id]
            started = context["dag_run"].start_date or datetime.now(timezone.utc)
            seen = SeenRun(run, started, states, cache(lambda task: ti.xcom_pull(task_ids=task)))
            with self.spark(context, run) as spark:
                lake = self.lake_of(run)
                failed = failed_loads(spark, lake, limit=50) if seen.failed else []
                found = [*(seen.table(name) for name in self.tables), *(seen.gold(name) for name in self.gold)]
                records = [with_error(record, failed, seen.failed) for record in found]
                record_runs(spark, lake, run, records)
                told = told_of_run(spark, lake, seen, records)
                circuit = read_circuit(spark, lake, self.breaker).to_dict() if self.breaker else None
        except Exception as error:
            self.log.warning("The run could not be written to ops/runs: %s", error)
            return None
        return {"tables": told, "circuit": circuit}


def told_of_run(
    spark: SparkSession, lake: Lake, seen: SeenRun, records: Sequence[TableRecord]
) -> dict[str, dict[str, Any]]:
    """The `records` of a run by their tables, with the version that it published and where the table stands now."""
    from airflow_ingest.lakehouse import standings

    worked_on = [one.table for one in records if one.status not in _IDLE and not one.table.startswith(f"{GOLD_GROUP}.")]
    stand = {name: found.to_dict() for name, found in standings(spark, lake, worked_on).items()}
    return {
        one.table: {**one.to_dict(), "version": seen.version(one.table), **stand.get(one.table, {})} for one in records
    }


_IDLE = ("skipped", "not run", "stopped")


class Results(Protocol):
    """What a task returned, by its id; None where it returned nothing."""

    def __call__(self, task: str, /) -> Any: ...


class SeenRun:
    """A run as its last task sees it: the `states` of the others by their ids, and their `results`."""

    def __init__(self, run: RunInfo, started: datetime, states: Mapping[str, str | None], results: Results) -> None:
        from airflow_ingest.lakehouse import Circuit

        self._run = run
        self._started = started
        self._states = states
        self._results = results
        found = self._result(CHECK_CIRCUIT)
        idle = {state for task, state in states.items() if task not in _AROUND} == {"skipped"}
        self._stopped = Circuit.from_dict(found).stops(run.run_id) if found and idle else ""

    @property
    def failed(self) -> list[str]:
        """The tasks of it that failed."""
        return [task for task, state in self._states.items() if state == "failed"]

    def table(self, name: str) -> TableRecord:
        """What it did with a table."""
        from airflow_ingest.lakehouse.runs import counted

        ingest, gate, merge = (
            self._result(f"{name}.{kind.value}") for kind in (StepKind.INGEST, StepKind.GATE, StepKind.MERGE)
        )
        gates = [gate] if isinstance(gate, dict) else gate or []
        last = merge if f"{name}.{StepKind.MERGE.value}" in self._states else None if gates else ingest
        published = (last or {}).get("loads") or [load for load in [last] if load]
        held = [reason for found in gates if found["decision"] == "block" for reason in found["reasons"]]
        status = self._status(name, (last or ingest or {}).get("status", "skipped"))
        if held and self._states.get(f"{name}.{StepKind.HOLD.value}", "failed") == "failed":
            status = "held"
        seconds = sum(found.get("seconds", 0.0) for found in [ingest or {}, *gates, *published])
        attempts = [found.get("attempt", 1) for found in (ingest, last) if found]
        return self._record(name, status, counted(ingest, gates, published), seconds, attempts, "; ".join(held))

    def gold(self, name: str) -> TableRecord:
        """What it did with a gold table."""
        from airflow_ingest.lakehouse import RowCounts

        found = self._result(f"{GOLD_GROUP}.{name}") or {}
        state = self._states.get(f"{GOLD_GROUP}.{name}")
        status: RunStatus = "failed" if state == "failed" else "not run" if state == "upstream_failed" else "unchanged"
        status = found.get("status", status)
        rows = RowCounts.from_dict(found["rows"]) if found else RowCounts()
        return self._record(f"gold.{name}", status, rows, found.get("seconds", 0.0), [found.get("attempt", 1)], "")

    def version(self, name: str) -> int | None:
        """The version of the table that it published, of silver or gold where there is one."""
        steps = (name, f"{name}.{StepKind.MERGE.value}", f"{name}.{StepKind.INGEST.value}")
        found = self._result(next((step for step in steps if step in self._states), name))
        return found.get("version") if isinstance(found, dict) else None

    def _result(self, task: str) -> Any:
        """What a task returned; a gate that holds a batch hands its outcomes on and is a success."""
        return self._results(task) if self._states.get(task) == "success" else None

    def _status(self, name: str, loaded: RunStatus) -> RunStatus:
        """What the states of the table's own tasks say."""
        states = {state for task, state in self._states.items() if task.startswith(f"{name}.")}
        if "failed" in states:
            return "failed"
        return "not run" if "upstream_failed" in states else loaded

    def _record(
        self, table: str, status: RunStatus, rows: Any, seconds: float, attempts: Sequence[int], error: str
    ) -> TableRecord:
        from airflow_ingest.lakehouse import TableRecord

        return TableRecord.of(
            self._run,
            self._started,
            table=table,
            seconds=seconds,
            status="stopped" if self._stopped else status,
            attempts=max(attempts, default=1),
            error=self._stopped or error,
            rows=rows,
        )


def with_error(record: TableRecord, failed: Sequence[FailedLoad], tasks: Sequence[str] = ()) -> TableRecord:
    """`record` with what went wrong, if it failed: as `ops/failed_loads` tells of a step that was given up in its run,
    else which of the failed `tasks` it was, such as a sensor.
    """
    if record.status != "failed":
        return record
    for load in failed:
        if load.run_id == record.run_id and belongs_to(load.step, record.table):
            return record.model_copy(update={"error": f"{load.kind}: {load.error}", "attempts": load.attempts})
    own = ", ".join(task for task in tasks if belongs_to(task, record.table))
    return record.model_copy(update={"error": f"{own} failed, and the log says why"}) if own else record


def belongs_to(task: str, table: str) -> bool:
    """Whether a task works on a table as records name it; gold's tasks are named like their tables."""
    return task == table or task.startswith(f"{table}.")
