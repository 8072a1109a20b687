"""Waiting for a source's files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

from airflow_ingest.sensors._waiting import Asking
from airflow_ingest.sensors.files import surroundings

if TYPE_CHECKING:
    from airflow.sdk import Context
    from jinja2 import Environment


class SourceFileSensor(Asking, BaseSensorOperator):
    """Wait until a source's files are there, without a slot while it waits.

    :param files: a path or a glob on this machine, or a URL that Airflow's ObjectStoragePath can read; or several, all
        of which must be there; templated from the run's data interval, from each of them if the run has several
    :param marker: the name of a file that must lie in the folder of the files too, such as `_SUCCESS`
    :param timeout: how long to wait (seconds or a timedelta)
    :param on_timeout: what then: `fail` for good, `skip` what is below, or `go_on` without
    :param poke_interval: how long to wait between two looks (seconds or a timedelta)
    :param mode: `reschedule` frees the slot between two looks, `poke` keeps it
    :param deferrable: wait in the triggerer
    :param conn_id: the Airflow connection for a URL
    """

    template_fields = ("files",)
    ui_color = "#e6f1f2"
    condition = "airflow_ingest.sensors.files:all_there"

    def __init__(
        self, *, files: str | Sequence[str], marker: str | None = None, conn_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.files = files if isinstance(files, str) else list(files)
        self.marker = marker
        self.conn_id = conn_id

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render the template fields, of a run with several intervals for each of them."""
        template = self.files
        super().render_template_fields(context, jinja_env)
        if each := self.rendered_for_each(context, template):
            self.files = [file for files in each for file in _listed(files)]

    def question(self, context: Context) -> dict[str, Any]:
        """What the function is asked."""
        return {"files": _listed(self.files), "marker": self.marker, "conn_id": self.conn_id}

    def missing(self) -> str:
        """The path that was looked for, and what is there instead."""
        files = _listed(self.files)
        marked = f" with {self.marker}" if self.marker else ""
        return (
            f"{', '.join(files)}{marked} is still not there after {self.timeout:.0f} s. {surroundings(files[0])} If "
            "the file comes later, raise `wait.timeout`; if it comes elsewhere, correct `source.files`; then clear "
            "this task."
        )


def _listed(files: str | Sequence[str]) -> list[str]:
    return [files] if isinstance(files, str) else list(files)
