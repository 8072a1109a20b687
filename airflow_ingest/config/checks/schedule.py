"""When a pipeline runs: whether its schedule can be kept."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from airflow_ingest.config.checks.delta import LAYERS
from airflow_ingest.config.report import Report
from airflow_ingest.config.values import KeyPath, nearest, one_of, quote, unexpanded

PRESETS = ("@once", "@continuous", "@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly")


def check_schedule(data: dict[str, Any], report: Report) -> None:
    """Check when the pipeline of a whole file's plain data runs."""
    schedule = data.get("schedule")
    if not isinstance(schedule, str):
        if data.get("catchup") is True:
            without = "without a schedule" if schedule is None else "with a schedule by assets"
            report.add(("catchup",), f"catchup has no use {without}", "Remove it.", at_key=True)
        if isinstance(schedule, dict):
            _check_assets(schedule.get("assets"), ("schedule", "assets"), str(data.get("pipeline")), report)
        return
    if problem := _schedule_problem(str(schedule)):
        report.add(("schedule",), unexpanded(schedule, problem[0]), problem[1])
    if data.get("start_date") is None:
        report.add((), 'the key "start_date" is missing', "A schedule needs a first day: start_date: 2013-01-01.")
    if schedule == "@continuous" and data.get("max_active_runs", 1) != 1:
        report.add(("max_active_runs",), 'must be 1 with schedule "@continuous"', "Its runs follow one another.")


def _check_assets(found: Any, at: KeyPath, pipeline: str, report: Report) -> None:
    for path, entries in _lists(found, at, report):
        for index, entry in enumerate(entries):
            if isinstance(entry, dict):
                _check_assets(entry, (*path, index), pipeline, report)
            elif isinstance(entry, str) and (problem := asset_problem(entry, pipeline)):
                report.add((*path, index), *problem)
            elif isinstance(entry, str) and entry in entries[:index]:
                report.add((*path, index), f"{quote(entry)} is named twice", "Keep one of the two.")


def _lists(found: Any, at: KeyPath, report: Report) -> Iterator[tuple[KeyPath, list[Any]]]:
    if isinstance(found, dict):
        given = [key for key in ("all", "any") if found.get(key) is not None]
        if len(given) == 2:
            report.add(at, "says both all and any", "Put one inside the other: {all: [a, {any: [b, c]}]}.", at_key=True)
        if not given and found.keys() <= {"all", "any"}:
            report.add(at, "names no assets: it needs exactly one of all or any", at_key=True)
        yield from (((*at, key), found[key]) for key in given if isinstance(found[key], list))
    elif isinstance(found, list):
        yield at, found


def asset_problem(name: str, pipeline: str) -> tuple[str, str] | None:
    """What is wrong with an asset's name in a file of `pipeline`, and a hint; None if it is well."""
    parts = name.split(".")
    if not name.strip() or not name.isascii() or "{{" in name:
        return f"{quote(name)} cannot be the name of an asset", "Those of pipelines are <pipeline>.<layer>.<table>."
    if len(parts) == 3 and parts[1] not in LAYERS and (hint := nearest(parts[1], LAYERS)):
        return f"{quote(parts[1])} is no layer", hint
    if parts[0] == pipeline and len(parts) == 3:
        return f"{quote(name)} is a table of this very pipeline", "Name tables of other pipelines."
    if len(parts) == 3 and parts[1] == "dlq":
        return f"{quote(name)} is no asset: dead letters have none", f"Layers: {one_of(LAYERS[:3])}."
    return None


@lru_cache(maxsize=4096)
def _schedule_problem(schedule: str) -> tuple[str, str] | None:
    if schedule in PRESETS:
        return None
    if schedule.startswith("@"):
        return f"{quote(schedule)} is not a preset", nearest(schedule, PRESETS) or f"Presets: {', '.join(PRESETS)}."
    if len(schedule.split()) != 5:
        hint = nearest(f"@{schedule}", PRESETS) or 'A cron expression has five parts: "30 6 * * 1" is Mondays at 6:30.'
        return f"{quote(schedule)} is not a cron expression", hint
    from croniter import CroniterBadCronError, croniter

    try:
        croniter(schedule)
    except (CroniterBadCronError, ValueError, KeyError) as error:
        reason = ": a number is out of range" if "out of range" in str(error) else ""
        return f"{quote(schedule)} is not a cron expression{reason}", "Its parts: minute hour day month weekday."
    return None
