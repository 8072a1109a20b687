"""Where pages are below the address of Airflow's UI."""

from __future__ import annotations

from urllib.parse import quote, urlsplit


def ui_root() -> str:
    """The path under which Airflow's UI lives: empty, or such as `/airflow`."""
    from airflow.sdk.configuration import conf

    return str(urlsplit(conf.get("api", "base_url", fallback="/")).path).rstrip("/")


def path(root: str, *parts: str) -> str:
    """The path of a page below `root`: `path("", "dags", "shop", "runs")` is `/dags/shop/runs`."""
    return "/".join([root, *(quote(part, safe="") for part in parts)])
