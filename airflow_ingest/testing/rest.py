"""The part of Airflow's REST API that a demonstration or a test needs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import httpx

from airflow_ingest.config import IngestError

_PAGE = 100
_BUSY_TRIES = 20
_UNFINISHED = {None, "scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", "deferred"}


class AirflowApiError(IngestError):
    """Airflow's REST API refused a request; says which, with what status and why."""

    def __init__(self, request: httpx.Request, response: httpx.Response) -> None:
        self.status = response.status_code
        super().__init__(f"{request.method} {request.url.path} answered {self.status}: {response.text[:2000]}")


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG."""

    run_id: str
    state: str
    run_type: str
    logical_date: datetime | None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.state in {"success", "failed"}


@dataclass(frozen=True)
class TaskRun:
    """A task of a run, in its latest try."""

    task_id: str
    state: str | None
    try_number: int
    duration: float | None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def finished(self) -> bool:
        return self.state not in _UNFINISHED


@dataclass(frozen=True)
class BrokenFile:
    """A file in the dags folder that could not be read, with what was wrong."""

    file: str
    message: str


class AirflowApi:
    """A client for the REST API (v2) of one Airflow.

    Every method raises `AirflowApiError` on a refusal and `httpx.TransportError` where nobody answers. A metadata
    database that is busy for a moment (503, as SQLite is at times) is asked again.
    """

    def __init__(self, base_url: str, username: str, password: str, *, timeout: float = 60) -> None:
        self._credentials = {"username": username, "password": password}
        self._http = httpx.Client(base_url=base_url, timeout=timeout, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def health(self) -> dict[str, str | None]:
        """Each part of Airflow with its status, "healthy" if all is well."""
        answer = self._http.get("/api/v2/monitor/health")
        if answer.is_error:
            raise AirflowApiError(answer.request, answer)
        return {part: details["status"] for part, details in answer.json().items() if details}

    def dags(self) -> list[str]:
        """The ids of the DAGs that Airflow has read."""
        return [dag["dag_id"] for dag in self._list("/dags", "dags")]

    def unpause(self, dag_id: str) -> None:
        """Lets the scheduler run a DAG."""
        self._call("PATCH", f"/dags/{_quoted(dag_id)}", json={"is_paused": False})

    def trigger(
        self, dag_id: str, *, logical_date: datetime | None = None, conf: Mapping[str, Any] | None = None
    ) -> DagRun:
        """Starts a manual run."""
        body = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": dict(conf or {})}
        return _dag_run(self._call("POST", f"/dags/{_quoted(dag_id)}/dagRuns", json=body))

    def backfill(
        self,
        dag_id: str,
        first: datetime,
        last: datetime,
        *,
        max_active_runs: int = 1,
        reprocess: Literal["none", "failed", "completed"] = "none",
    ) -> int:
        """Asks for a run of every interval from `first` to `last`, both included; returns the backfill's id.

        On SQLite do so while nothing else writes, or from the command line while Airflow is down: at another's write
        Airflow gives up, and with `reprocess` it deletes runs that were to be repeated.
        """
        body = {
            "dag_id": dag_id,
            "from_date": first.isoformat(),
            "to_date": last.isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": reprocess,
        }
        return int(self._call("POST", "/backfills", json=body)["id"])

    def close_backfills(self, dag_id: str) -> None:
        """Ends every backfill of a DAG, so that another may be asked for; runs of it that have not begun fail.

        Airflow itself ends one up to half a minute after its last run.
        """
        for backfill in self._list("/backfills", "backfills", dag_id=dag_id):
            if backfill["completed_at"] is None:
                self._call("PUT", f"/backfills/{backfill['id']}/cancel")

    def runs(self, dag_id: str) -> list[DagRun]:
        """Every run of a DAG, oldest interval first."""
        found = self._list(f"/dags/{_quoted(dag_id)}/dagRuns", "dag_runs", order_by="logical_date")
        return [_dag_run(run) for run in found]

    def tasks(self, dag_id: str, run_id: str) -> list[TaskRun]:
        """The tasks of one run."""
        found = self._list(f"{_run_path(dag_id, run_id)}/taskInstances", "task_instances")
        return [
            TaskRun(task["task_id"], task["state"], task["try_number"], task["duration"], *_from_to(task))
            for task in found
        ]

    def clear(self, dag_id: str, run_id: str) -> None:
        """Has every task of a run done again, however it ended."""
        body = {"dry_run": False, "dag_run_id": run_id, "only_failed": False}
        self._call("POST", f"/dags/{_quoted(dag_id)}/clearTaskInstances", json=body)

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
        """What a task wrote in one try, a line per event, without the marks that fold it in the UI."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/logs/{try_number}"
        events = self._call("GET", path, params={"full_content": "true"})["content"]
        lines = (_log_line(event) for event in events)
        return "\n".join(line for line in lines if "::group::" not in line and "::endgroup::" not in line)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task passed on under `key`, or None if it passed nothing on."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/xcomEntries/{_quoted(key)}"
        try:
            return self._call("GET", path, params={"deserialize": "true"})["value"]
        except AirflowApiError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def import_errors(self) -> list[BrokenFile]:
        """The files of the dags folder that Airflow could not read."""
        found = self._list("/importErrors", "import_errors")
        return [BrokenFile(error["filename"], error["stack_trace"]) for error in found]

    def _list(self, path: str, key: str, **params: Any) -> Iterator[dict[str, Any]]:
        offset = 0
        while True:
            page = self._call("GET", path, params={**params, "limit": _PAGE, "offset": offset})
            yield from page[key]
            offset += _PAGE
            if offset >= page["total_entries"]:
                return

    def _call(self, method: str, path: str, **kwargs: Any) -> Any:
        for tries_left in range(_BUSY_TRIES, -1, -1):
            answer = self._http.request(method, f"/api/v2{path}", headers=self._headers(), **kwargs)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or not tries_left:
                break
            time.sleep(0.5)
        if answer.is_error:
            raise AirflowApiError(answer.request, answer)
        return answer.json()

    def _headers(self) -> dict[str, str]:
        if "Authorization" not in self._http.headers:
            answer = self._http.post("/auth/token", json=self._credentials)
            if answer.is_error:
                raise AirflowApiError(answer.request, answer)
            self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return {"Accept": "application/json"}


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _dag_run(body: Mapping[str, Any]) -> DagRun:
    return DagRun(body["dag_run_id"], body["state"], body["run_type"], _time(body["logical_date"]), *_from_to(body))


def _from_to(body: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    return _time(body["start_date"]), _time(body["end_date"])


def _time(timestamp: str | None) -> datetime | None:
    """A time of the API, which ends in a Z that Python 3.10 does not read."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")) if timestamp else None


def _log_line(event: str | Mapping[str, Any]) -> str:
    if isinstance(event, str):
        return event
    details = [str(event.get(key)) for key in ("timestamp", "level", "event") if event.get(key)]
    errors = "".join(map(_exception_text, event.get("error_detail") or ()))
    return "  ".join(details) + errors


def _exception_text(error: Mapping[str, Any]) -> str:
    frames = "".join(
        f'\n    File "{frame["filename"]}", line {frame["lineno"]}, in {frame["name"]}' for frame in error["frames"]
    )
    return f"{frames}\n    {error['exc_type']}: {error['exc_value']}"
