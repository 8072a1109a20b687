"""The DAGs that people start from a form: dead letters that come back, and batches that the gate has held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param

from airflow_ingest.operators.by_hand import DecideHeldOperator, ReplayLettersOperator

if TYPE_CHECKING:
    from airflow_ingest.config import Pipeline

REPLAYS, DECIDES = "dead letters", "held batches"
"""Tags by which the two DAGs are found, whatever their ids."""

_REPLAY = """\
Puts rejected rows through today's configuration again, with a fix if you give one. Rows that pass go into silver as if
they had come in their time, and the gold that reads it is refreshed; the others stay in the dead-letter table with
their new reasons. A retry goes on where the attempt before it was.
"""
_HELD = """\
Lets a batch through that the gate has held (it goes into silver now, whatever its rules say, and gold follows), or
throws it away. The reason is kept in `ops/batches`, with who has decided.
"""


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """The ids of the DAGs that have forms; two loaders in one Airflow need two of each."""

    replay: str = "ingest_dlq_replay"
    held: str = "ingest_held_batches"


@dataclass
class Choices:
    """What the forms let people choose from, as `<pipeline>.<table>`: tables to replay in, tables that can be held."""

    replayable: list[str] = field(default_factory=list)
    holdable: list[str] = field(default_factory=list)

    def add(self, pipeline: Pipeline) -> None:
        """The tables of `pipeline` can be chosen too."""
        silver = {name: table.silver for name, table in pipeline.tables.items() if table.silver is not None}
        self.holdable += [f"{pipeline.pipeline}.{name}" for name in silver]
        self.replayable += [f"{pipeline.pipeline}.{name}" for name, found in silver.items() if found.by_key]


def build_replay_dag(dag_id: str, files: Mapping[str, str], tables: Sequence[str]) -> DAG:
    """The DAG with the form for dead letters; `files` are those of the pipelines by name, and `tables` the choices.

    Without `tables` any is taken: a task is started with what the form has checked before.
    """
    params = {
        "table": _table(tables),
        "dry_run": Param(
            False,
            type="boolean",
            title="Dry run",
            description="Tell in the task's log what would happen, and change nothing.",
        ),
        "fix": Param(
            {},
            type=["null", "object"],
            title="Fix",
            description="SQL expressions that take the place of columns of the rows, as they arrived, before today's "
            "casts and rules: {\"amount\": \"replace(amount, ',', '.')\"}.",
            additionalProperties={"type": "string"},
        ),
        "rule": _optional("Rule", "Only rows that this rule rejected, by its name: cast, positive.", section=_WHICH),
        "since": _optional("Rejected since", "Only rows rejected since then.", section=_WHICH, format="date-time"),
        "ids": Param(
            [],
            type=["null", "array"],
            items={"type": "string"},
            title="Ids",
            description="Only these rows, by the beginnings of their ids, one a line: see airflow-ingest dlq list.",
            section=_WHICH,
        ),
        "limit": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="At most",
            description="So many rows, the oldest; left empty: all.",
            section=_WHICH,
        ),
        "batch_size": Param(
            10_000,
            type="integer",
            minimum=1,
            title="Batch size",
            description="How many rows go into silver in one commit.",
            section="How",
        ),
    }
    dag = _dag(dag_id, REPLAYS, "Puts rejected rows through today's configuration again", _REPLAY, params)
    ReplayLettersOperator(task_id="replay", files=files, dag=dag, retries=2, retry_delay=timedelta(seconds=30))
    return dag


def build_held_dag(dag_id: str, files: Mapping[str, str], tables: Sequence[str]) -> DAG:
    """The DAG with the form for held batches; for the arguments see `build_replay_dag`."""
    params = {
        "table": _table(tables),
        "batch": _optional("Batch", "The held batch's id, as hold_batch has told it; left empty: the only one."),
        "decision": Param(
            "release",
            type="string",
            enum=["release", "discard"],
            title="Decision",
            description="release: into silver and gold, now. discard: no run merges it; its rows stay in bronze.",
        ),
        "reason": Param(
            type="string", minLength=1, title="Reason", description="Why, for those who look at it later; it is kept."
        ),
    }
    dag = _dag(dag_id, DECIDES, "Lets batches through that the gate has held, or throws them away", _HELD, params)
    DecideHeldOperator(task_id="decide", files=files, dag=dag)
    return dag


_WHICH = "Which rows"


def _table(tables: Sequence[str]) -> Param:
    """One list of `<pipeline>.<table>`: Airflow's forms have no list that depends on another's choice."""
    schema: dict[str, Any] = {"type": "string", "title": "Table"}
    if tables:
        schema["enum"] = list(tables)
    about = "The pipeline and its table."
    return Param(tables[0], about, **schema) if len(tables) == 1 else Param(description=about, **schema)


def _optional(title: str, description: str, **schema: Any) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description, **schema)


def _dag(dag_id: str, tag: str, description: str, about: str, params: dict[str, Param]) -> DAG:
    return DAG(
        dag_id,
        description=description,
        schedule=None,
        catchup=False,
        tags=["by hand", tag],
        doc_md=about,
        params=params,
    )
