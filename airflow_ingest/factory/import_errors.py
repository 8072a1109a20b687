"""Each bad pipeline file as its own import error in Airflow.

Airflow 3.3 keeps one error per DAG file it imports, and an exception in the loader would be the loader's: it would hide
every pipeline beside it. The result of the import that is going on, `DagImportResult`, takes errors of other files
too, but Airflow hands it to no one; so it is looked up on the stack. This is violated when the loader raises for one
of many files, or when any other module looks at Airflow's frames.
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path
from types import FrameType

log = logging.getLogger(__name__)


def report(file: Path, message: str) -> None:
    """Make `message` the import error of `file`, which lies beside the DAG file that Airflow is importing.

    Where no import is going on (a loader run by hand), the message goes to the log and to a warning instead.
    """
    importers = sys.modules.get("airflow.dag_processing.importers")
    frame: FrameType | None = sys._getframe(1)
    while importers and frame:
        for value in frame.f_locals.values():
            if isinstance(value, importers.DagImportResult):
                path = str(Path(value.file_path).with_name(file.name))
                value.errors.append(importers.DagImportError(file_path=path, message=message, error_type="config"))
                return
        frame = frame.f_back
    log.error("%s", message)
    warnings.warn(message, stacklevel=2)
