"""The DAGs that serve all pipelines of a folder: maintenance, and the forms for dead letters and held batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_ingest.config import ConfigError, Mistake, load_pipeline
from airflow_ingest.factory.by_hand import ByHand, Choices, build_held_dag, build_replay_dag
from airflow_ingest.factory.maintenance import Maintenance, build_maintenance_dag, upkeep

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_ingest.config import Pipeline


@dataclass(frozen=True)
class Shared:
    """Which of them there are, and how they are called; None leaves some out."""

    maintenance: Maintenance | None
    by_hand: ByHand | None

    @property
    def ids(self) -> dict[str, str]:
        """Their ids, and what each does."""
        found = {self.maintenance.dag_id: "looks after all tables"} if self.maintenance else {}
        if self.by_hand is not None:
            found |= {self.by_hand.replay: "replays dead letters", self.by_hand.held: "decides about held batches"}
        return found

    def refuse(self, file: Path) -> None:
        """Raise ConfigError if a pipeline file has the name of one of them."""
        if file.stem in self.ids:
            problem = f"{file.stem} is the id of the DAG that {self.ids[file.stem]}"
            hint = "Choose another name, or give load_dags other ids for its own."
            raise ConfigError([Mistake(str(file), 1, 1, "pipeline", problem, hint)])

    def for_task(self, dag_id: str, task_id: str | None, files: Mapping[str, Path]) -> DAG | None:
        """The one with this id for a task that Airflow starts, from as few `files` as that takes."""
        if self.maintenance is not None and dag_id == self.maintenance.dag_id:
            own = [upkeep(load_pipeline(files[task_id]))] if task_id and task_id in files else []
            return build_maintenance_dag(own, self.maintenance)
        known = {name: str(file) for name, file in files.items()}
        if self.by_hand is not None and dag_id == self.by_hand.replay:
            return build_replay_dag(dag_id, known, ())
        if self.by_hand is not None and dag_id == self.by_hand.held:
            return build_held_dag(dag_id, known, ())
        return None


@dataclass
class Served:
    """The pipelines that they serve."""

    shared: Shared
    upkeeps: list[dict[str, Any]] = field(default_factory=list)
    choices: Choices = field(default_factory=Choices)
    files: dict[str, str] = field(default_factory=dict)

    def add(self, pipeline: Pipeline, file: Path) -> None:
        """They serve `pipeline` too, which was read from `file`."""
        self.upkeeps.append(upkeep(pipeline))
        self.choices.add(pipeline)
        self.files[file.stem] = str(file)

    def builders(self) -> Iterator[Callable[[], DAG]]:
        """What builds each of them that has something to do."""
        maintenance, by_hand = self.shared.maintenance, self.shared.by_hand
        if maintenance is not None and self.upkeeps:
            yield partial(build_maintenance_dag, self.upkeeps, maintenance)
        if by_hand is not None and self.choices.replayable:
            yield partial(build_replay_dag, by_hand.replay, self.files, self.choices.replayable)
        if by_hand is not None and self.choices.holdable:
            yield partial(build_held_dag, by_hand.held, self.files, self.choices.holdable)
