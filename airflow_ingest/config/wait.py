"""What a table waits for before it is loaded."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from airflow_ingest.config.block import Block
from airflow_ingest.config.values import Duration

WaitKind = Literal["files", "pipeline", "asset", "delta", "sql"]
WAIT_KINDS: tuple[WaitKind, ...] = ("files", "pipeline", "asset", "delta", "sql")


Files = Annotated[
    Annotated[str, Tag("@text")] | Annotated[list[str], Tag("@list")],
    Discriminator(lambda value: "@list" if isinstance(value, list) else "@text"),
]


class SqlCondition(Block):
    """A query that some database answers."""

    conn_id: str = Field(description="The Airflow connection; the provider of its type must be installed.")
    query: str = Field(
        description="It holds once the first value of its first row is there and not zero, NULL, empty or false. "
        "`{{ ds }}` and the like are rendered from the run's data interval."
    )


class Wait(Block):
    """A sensor before the load; it frees its slot while it waits.

    It looks for the source's own files, or for exactly one of `files`, `pipeline`, `asset`, `delta` and `sql`.
    """

    timeout: Duration = Field(description="How long it waits at most.")
    poll: Duration = Field(timedelta(seconds=60), description="How often the sensor looks.")
    mode: Literal["reschedule", "deferrable"] = Field(
        "reschedule",
        description="Who looks: a task that is started anew each time, or Airflow's triggerer, which many may wait in "
        "at once.",
    )
    on_timeout: Literal["fail", "skip", "go_on"] = Field(
        "fail",
        description="What happens then: the run fails, the table is skipped, or it is loaded with what there is.",
    )
    files: Files | None = Field(
        None, description="Other files than the source's: a path or glob, or several that must all be there."
    )
    marker: str | None = Field(
        None, description="A file's name, such as `_SUCCESS`, that must lie in the folder of the files too."
    )
    pipeline: str | None = Field(
        None, description="Another pipeline or DAG whose run for the same interval must have succeeded."
    )
    asset: str | None = Field(
        None,
        description="A table of another pipeline, as `<pipeline>.<layer>.<table>`, that must be loaded up to the end "
        "of the run's interval.",
    )
    delta: str | None = Field(
        None,
        description="A Delta table, as `<layer>.<table>` of the pipeline's own `lake` or as a path or URL, that must "
        "have changed since this table was loaded last. To a backfill it must only be there.",
    )
    sql: SqlCondition | None = Field(None, description="A condition that a database must fulfil.")

    @property
    def kind(self) -> WaitKind:
        """What it looks for."""
        return next((kind for kind in WAIT_KINDS if getattr(self, kind) is not None), "files")
