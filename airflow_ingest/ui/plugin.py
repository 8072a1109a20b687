"""The plugin: pages of our own under `/ingest`, made when the first of them is asked for.

Every process of Airflow imports plugins, and only its API server has use for a web framework. The plugin is an entry
point `airflow.plugins`: one that a provider's info names is not loaded where providers load lazily, as they do by
default.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from functools import cache
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_ingest.notifications.interval_end import IntervalEnd

Message = MutableMapping[str, Any]


class IngestPages:
    """The pages as an ASGI application."""

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        await _pages()(scope, receive, send)


@cache
def _pages() -> Any:
    from airflow_ingest.ui.pages import pages

    return pages()


class IngestPlugin(AirflowPlugin):
    """What Airflow is told of: the pages, and from when the deadlines of pipelines count."""

    name = "airflow_ingest"
    fastapi_apps = [{"app": IngestPages(), "url_prefix": "/ingest", "name": "airflow-ingest"}]
    deadline_references = [IntervalEnd]
