"""What a run is doing right now: spinners on a terminal, one line per step anywhere else."""

import threading
from types import TracebackType

from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from typing_extensions import Self

from airflow_ingest.cli.console import notes
from airflow_ingest.cli.engine import Unit

__all__ = ["RunProgress"]


class RunProgress:
    """A `with` block in which units announce their steps, from any thread."""

    def __init__(self) -> None:
        self._console = notes()
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.stop()

    def begin(self, day: str, unit: Unit, step: str) -> None:
        """The unit's next step begins."""
        text = f"{day} {unit.name}" if unit.is_gold or unit.is_profile else f"{day} {unit.name}: {step}"
        with self._lock:
            if not self._console.is_terminal:
                self._console.print(text, markup=False)
            elif unit.name in self._tasks:
                self._display.update(self._tasks[unit.name], description=text)
            else:
                self._tasks[unit.name] = self._display.add_task(text, total=None)

    def end(self, unit: Unit) -> None:
        """The unit has no step left."""
        with self._lock:
            task = self._tasks.pop(unit.name, None)
            if task is not None:
                self._display.remove_task(task)
