"""Walks a pipeline's graph in one process: a table's steps one after the other, independent tables side by side."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from airflow_ingest.cli.report import TableRun
from airflow_ingest.graph import PipelineGraph, Step, StepKind

__all__ = ["Unit", "run_units", "units_of"]


@dataclass(frozen=True)
class Unit:
    """What runs in one thread with one Spark session: the steps of one table, one gold table, or one profile."""

    name: str
    steps: tuple[Step, ...]
    upstream: frozenset[str]

    @property
    def target(self) -> str:
        """The table's name in the pipeline's file."""
        return self.steps[0].target

    @property
    def is_gold(self) -> bool:
        """Whether it is a gold table."""
        return self.steps[0].kind is StepKind.GOLD

    @property
    def is_profile(self) -> bool:
        """Whether it measures a table that another unit has published, and publishes nothing."""
        return self.steps[0].kind is StepKind.PROFILE

    @property
    def published(self) -> str:
        """The table in silver or gold: `silver.orders`."""
        return self.steps[0].published


def units_of(graph: PipelineGraph, tables: Iterable[str] = ()) -> tuple[Unit, ...]:
    """The graph's units in topological order; with `tables`, those tables and gold tables alone."""
    alone = (StepKind.GOLD, StepKind.PROFILE)
    owner = {step.id: step.id if step.kind in alone else step.group for step in graph.steps}
    members: dict[str, list[Step]] = {}
    for step in graph.steps:
        members.setdefault(owner[step.id], []).append(step)
    units = tuple(
        Unit(name, tuple(steps), frozenset(owner[up] for step in steps for up in step.upstream) - {name})
        for name, steps in members.items()
    )
    chosen = set(tables)
    kept = [unit for unit in units if not chosen or chosen & {unit.target, unit.name, unit.published}]
    names = {unit.name for unit in kept}
    return tuple(replace(unit, upstream=unit.upstream & names) for unit in kept)


def run_units(units: Sequence[Unit], day: str, work: Callable[[Unit], TableRun], *, workers: int) -> list[TableRun]:
    """What `work` made of each unit, in their order.

    A unit starts when all above it have ended. Where one of them failed it does not run; one that is held or skipped
    stops nothing (Airflow's `none_failed`). Exceptions of `work` other than Ctrl-C are its own to turn into a TableRun.
    """
    done: dict[str, TableRun] = {}
    running: dict[Future[TableRun], Unit] = {}
    pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="airflow-ingest")
    try:
        while len(done) < len(units):
            for unit in units:
                if unit.name in done or unit in running.values() or not unit.upstream <= done.keys():
                    continue
                broken = [name for name in sorted(unit.upstream) if done[name].state in ("failed", "not run")]
                if broken:
                    message = f"{', '.join(broken)} failed"
                    done[unit.name] = TableRun(day, unit.name, "not run", message=message, seconds=0.0)
                else:
                    running[pool.submit(work, unit)] = unit
            if running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    done[running.pop(future).name] = future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return [done[unit.name] for unit in units]
