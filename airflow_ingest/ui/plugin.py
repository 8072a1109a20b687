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

from airflow_ingest import _preloading
from airflow_ingest._addresses import path, ui_root
from airflow_ingest.notifications.interval_end import IntervalEnd

Message = MutableMapping[str, Any]
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' fill='{fill}' stroke='{line}' "
    "stroke-width='1.8' stroke-linejoin='round'%3E%3Cpath d='m12 12-9 4.5 9 4.5 9-4.5zm0-4.5L3 12l9 4.5 9-4.5zM12 3 3 "
    "7.5l9 4.5 9-4.5z'/%3E%3C/svg%3E"
)
"""An image knows nothing of the text's colour beside it: it has to be seen on a light ground and on a dark one."""


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
    """What Airflow is told of: the pages, from when deadlines count, and what to import before it forks."""

    name = "airflow_ingest"
    fastapi_apps = [{"app": IngestPages(), "url_prefix": "/ingest", "name": "airflow-ingest"}]
    deadline_references = [IntervalEnd]
    listeners = [_preloading]
    external_views = [
        {
            "name": "Ingest",
            "href": path(ui_root(), "ingest", "status"),
            "url_route": "ingest",
            "destination": "nav",
            "nav_top_level": True,
            "icon": _ICON.format(fill="white", line="%23294468"),
            "icon_dark_mode": _ICON.format(fill="none", line="%23c7d2e2"),
        }
    ]
