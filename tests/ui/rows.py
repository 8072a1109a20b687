"""Rows as a running Airflow leaves them in its database: pipelines with tables, runs, and what their tasks told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sqlalchemy import func, insert, select

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
BUNDLE = "rows-of-tests"
_COUNTS = ("inserted", "updated", "deleted", "unchanged", "superseded", "filtered", "deduplicated", "retracted")


@dataclass
class MadeRun:
    """A run: what `record_run` told of its tables (None: it told nothing), and what the other tasks returned."""

    tables: Mapping[str, Mapping[str, Any]] | None = None
    circuit: Mapping[str, Any] | None = None
    returned: Mapping[str, Any] = field(default_factory=dict)
    state: str = "success"
    kind: str = "scheduled"
    conf: Mapping[str, Any] = field(default_factory=dict)
    ended: datetime = NOW


@dataclass
class MadeDag:
    """A DAG; `tables` are a pipeline's, as `record_run` names them."""

    dag_id: str
    tables: Sequence[str] = ()
    runs: Sequence[MadeRun] = ()
    tags: Sequence[str] = ()
    paused: bool = False
    next_end: datetime | None = None
    fileloc: str = "/dags/load.py"
    stale: bool = False


def record(status: str = "loaded", *, ended: datetime = NOW, read: int = 10, rejected: int = 0, **more: Any) -> Any:
    """What `record_run` tells of a table."""
    rows = {**dict.fromkeys(_COUNTS, 0), "read": read, "rejected": rejected, "inserted": read - rejected}
    known = {"status": status, "ended": ended.isoformat(), "rows": rows, "error": "", "version": 1}
    return {**known, "open_letters": rejected, "held": 0, "watermark": ended.isoformat(), **more}


def gate(*broken: tuple[str, str, int], rules: int = 3) -> list[dict[str, Any]]:
    """What a gate returns: some of its `rules` are broken, each a name, a severity and how many rows."""
    found = [_rule(name, severity, failing) for name, severity, failing in broken]
    found += [_rule(f"rule_{n}", "error", 0) for n in range(rules - len(found))]
    batch = {"table": "t", "id": "b", "generation": 1, "run_id": "r", "processing_date": "2026-01-01"}
    return [{"table": "t", "decision": "pass", "batch": batch, "rows": {"read": 1000}, "rules": found}]


def _rule(name: str, severity: str, failing: int) -> dict[str, Any]:
    return {"name": name, "kind": "expect", "severity": severity, "passed": not failing, "failing": failing}


def put(session: Session, dags: Sequence[MadeDag]) -> None:
    """Puts rows for `dags` into Airflow's database."""
    from airflow.models.asset import AssetModel, TaskOutletAssetReference
    from airflow.models.dag import DagModel, DagTag
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.dagrun import DagRun

    if session.get(DagBundleModel, BUNDLE) is None:
        session.add(DagBundleModel(name=BUNDLE))
        session.flush()
    assets, runs = (count((session.scalar(select(func.max(one.id))) or 0) + 1) for one in (AssetModel, DagRun))
    rows: dict[Any, list[dict[str, Any]]] = {
        one: [] for one in (DagModel, DagTag, AssetModel, TaskOutletAssetReference)
    }
    for dag in dags:
        rows[DagModel].append(_dag(dag))
        rows[DagTag] += [{"dag_id": dag.dag_id, "name": tag} for tag in dag.tags]
        for table in dag.tables:
            task = table if table.startswith("gold.") else f"{table}.ingest_bronze"
            name = f"{dag.dag_id}.{table}" if table.startswith("gold.") else f"{dag.dag_id}.bronze.{table}"
            number = next(assets)
            rows[AssetModel].append({"id": number, "name": name, "uri": name, "group": "asset", "extra": {}})
            rows[TaskOutletAssetReference].append({"asset_id": number, "dag_id": dag.dag_id, "task_id": task})
    for model, found in rows.items():
        if found:
            session.execute(insert(model.__table__), found)
    for dag in dags:
        _put_runs(session, dag, runs)


def _dag(dag: MadeDag) -> dict[str, Any]:
    return {
        "dag_id": dag.dag_id,
        "is_paused": dag.paused,
        "is_stale": dag.stale,
        "fileloc": dag.fileloc,
        "bundle_name": BUNDLE,
        "timetable_periodic": True,
        "max_active_tasks": 1,
        "max_consecutive_failed_dag_runs": 0,
        "has_task_concurrency_limits": False,
        "next_dagrun_data_interval_end": dag.next_end,
    }


def _put_runs(session: Session, dag: MadeDag, numbers: Iterator[int]) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel

    runs, tasks, xcoms = [], [], []
    for nth, run in enumerate(dag.runs):
        number, run_id = next(numbers), f"run_{nth}"
        runs.append(
            {
                "id": number,
                "dag_id": dag.dag_id,
                "run_id": run_id,
                "state": run.state,
                "run_type": run.kind,
                "run_after": run.ended,
                "start_date": run.ended - timedelta(minutes=2),
                "end_date": run.ended,
                "conf": dict(run.conf),
                "clear_number": 0,
            }
        )
        told = dict(run.returned)
        if run.tables is not None:
            told["record_run"] = {"tables": run.tables, "circuit": run.circuit}
        for task, value in told.items():
            key = {"dag_id": dag.dag_id, "task_id": task, "run_id": run_id, "map_index": -1}
            tasks.append({**key, "id": uuid4(), "pool": "default_pool", "pool_slots": 1, "max_tries": 0})
            xcoms.append({**key, "dag_run_id": number, "key": "return_value", "value": value, "timestamp": run.ended})
    for model, rows in ((DagRun, runs), (TaskInstance, tasks), (XComModel, xcoms)):
        if rows:
            session.execute(insert(model.__table__), rows)


def put_alert(
    session: Session,
    dag_id: str,
    name: str,
    seconds: float,
    dues: Sequence[tuple[str, datetime, bool]] = (),
    output: str | None = None,
) -> None:
    """A deadline alert of a DAG's newest version, and deadlines of its runs: run id, when, and whether missed.

    `output` is what the callback of each has returned.
    """
    from airflow.models.callback import TriggererCallback
    from airflow.models.dag_version import DagVersion
    from airflow.models.dagrun import DagRun
    from airflow.models.deadline import Deadline
    from airflow.models.deadline_alert import DeadlineAlert
    from airflow.models.serialized_dag import SerializedDagModel

    version = session.scalar(select(DagVersion).where(DagVersion.dag_id == dag_id))
    if version is None:
        version = DagVersion(id=uuid4(), dag_id=dag_id, version_number=1, bundle_name=BUNDLE)
        session.add(version)
        session.flush()
        dag = {"id": uuid4(), "dag_id": dag_id, "data": {}, "dag_hash": "0" * 32, "dag_version_id": version.id}
        session.execute(insert(SerializedDagModel.__table__), [dag])
    serialized = session.scalar(select(SerializedDagModel.id).where(SerializedDagModel.dag_id == dag_id))
    interval = {"__classname__": "datetime.timedelta", "__version__": 2, "__data__": seconds}
    alert = {"id": uuid4(), "serialized_dag_id": serialized, "name": name, "reference": {}, "interval": interval}
    session.execute(insert(DeadlineAlert.__table__), [{**alert, "callback_def": {}}])
    for run_id, at, missed in dues:
        run = session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        callback = {"id": uuid4(), "type": "triggerer", "fetch_method": "import_path", "data": {}, "priority_weight": 1}
        callback |= {"output": output}
        session.execute(insert(TriggererCallback.__table__), [callback])
        due = {"id": uuid4(), "dagrun_id": run, "deadline_time": at, "missed": missed, "callback_id": callback["id"]}
        session.execute(insert(Deadline.__table__), [{**due, "deadline_alert_id": alert["id"]}])


def crowd(pipelines: int, tables: int, runs: int, now: datetime) -> list[MadeDag]:
    """Many pipelines with `tables` each that ran every hour, most of them well: the same ones every time."""
    chance = Random(7)
    return [_busy(f"pipeline_{number:02d}", tables, runs, now, chance) for number in range(pipelines)]


_NAMES = ("orders", "customers", "payments", "refunds", "products", "stores", "clicks", "sessions", "invoices", "stock")


def _busy(name: str, tables: int, runs: int, now: datetime, chance: Random) -> MadeDag:
    silver = [f"{_NAMES[n % len(_NAMES)]}_{n // len(_NAMES) + 1}" for n in range(tables - tables // 10)]
    names = [*silver, *(f"gold.daily_{n + 1}" for n in range(tables // 10))]
    size = {table: chance.choice((40, 900, 12_000, 340_000, 2_500_000)) for table in names}
    dirty = {table for table in silver if chance.random() < 0.15}
    made = []
    for nth in range(runs):
        ended = now - timedelta(hours=nth, minutes=chance.randrange(3, 20))
        bad = chance.random() < 0.04
        told = {}
        for table in names:
            read = int(size[table] * chance.uniform(0.6, 1.2))
            rejected = int(read * chance.uniform(0.001, 0.06)) if table in dirty else 0
            status = chance.choice(("failed", "held")) if bad and chance.random() < 0.15 else "loaded"
            error = "rule row_count: 12 rows, expected 100.." if status == "held" else ""
            gold = table.startswith("gold.")
            told[table] = record(
                status,
                ended=ended,
                read=0 if status == "failed" else read,
                rejected=0 if status == "failed" else rejected,
                held=None if gold else int(status == "held"),
                open_letters=None if gold else rejected // 10,
                error="SourceUnreadable: the file is no CSV" if status == "failed" else error,
            )
        judged = {
            f"{table}.quality_gate": gate(*_broken(table in dirty, chance), rules=chance.randrange(2, 9))
            for table in silver
            if nth < 3 or runs <= 30
        }
        made.append(MadeRun(told, _CLOSED, judged, ended=ended, state="failed" if bad else "success"))
    return MadeDag(name, names, made)


_CLOSED = {"state": "closed", "failures": 0, "reason": ""}


def _broken(dirty: bool, chance: Random) -> list[tuple[str, str, int]]:
    if not dirty:
        return []
    return [("amount_is_positive", "error", chance.randrange(1, 900)), ("is_recent", "warning", 12)][
        : chance.choice((1, 2))
    ]
