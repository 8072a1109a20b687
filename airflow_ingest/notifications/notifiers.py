"""Notifiers of other packages, by class path and arguments."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_ingest.config.pipeline import Alerts, Notifier
    from airflow_ingest.notifications.alert import Alert

log = logging.getLogger(__name__)
Problem = tuple[tuple[str | int, ...], str, str]


def notify(notifiers: Iterator[Notifier] | list[Notifier], alert: Alert, context: Mapping[str, Any]) -> bool:
    """Call each of `notifiers` with `context`, where `alert` is a variable too; returns whether one of them took it.

    What goes wrong is logged as a warning and raised to nobody.
    """
    took = False
    for notifier in notifiers:
        try:
            _class(notifier.class_)(**notifier.args)({**context, "alert": alert})
            took = True
        except Exception as error:
            log.warning("%s could not tell of %r: %s: %s", notifier.class_, alert.subject, type(error).__name__, error)
    return took


def notifier_problems(alerts: Alerts | None) -> Iterator[Problem]:
    """What is wrong with the notifiers of `alerts`: the key's path, the problem, and what to do.

    Their modules are imported for it, so this is for where DAG files are looked at, not for where tasks start.
    """
    for level, notifiers in (alerts.notify if alerts else {}).items():
        for index, notifier in enumerate(notifiers):
            if found := _problem(notifier):
                key, problem, hint = found
                yield ("alerts", "notify", level, index, key), f"{notifier.class_} {problem}", hint


def _problem(notifier: Notifier) -> tuple[str, str, str] | None:
    try:
        found = _class(notifier.class_)
    except Exception as error:
        hint = "Install its package, or put its module where Airflow finds it: the DAGs folder, the plugins folder."
        return "class", f"cannot be imported: {type(error).__name__}: {error}", hint
    if not (callable(found) and hasattr(found, "notify")):
        return "class", "is no notifier", "Name a subclass of airflow.sdk.BaseNotifier."
    taken = inspect.signature(found)
    try:
        taken.bind(**notifier.args)
    except TypeError as error:
        return "args", f"does not take these arguments: {error}", f"It takes {taken}."
    return None


def _class(path: str) -> Any:
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)
