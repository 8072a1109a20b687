"""`validate`: every mistake of every file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.markup import escape

from airflow_ingest.cli.console import notes, results
from airflow_ingest.config import ConfigError, Mistake, Pipeline, load_pipeline
from airflow_ingest.graph import compile_graph
from airflow_ingest.lakehouse.gold.changes import traced

__all__ = ["validate_paths"]


def validate_paths(paths: Sequence[Path], *, as_json: bool = False) -> int:
    """Check the files, and the YAML files in the folders, at `paths`. Returns 1 if there is a mistake, else 0."""
    files = list(_pipeline_files(paths))
    if not files:
        notes().print(f"No *.yaml or *.yml file in {', '.join(map(str, paths))}.", style="red", markup=False)
        return 1
    mistakes: list[Mistake] = []
    fine: dict[Path, Pipeline] = {}
    for file in files:
        try:
            fine[file] = load_pipeline(file)
            compile_graph(fine[file])
        except ConfigError as error:
            mistakes.extend(error.mistakes)
    if as_json:
        results().print(json.dumps([asdict(mistake) for mistake in mistakes], indent=2), markup=False)
    else:
        _show(fine, mistakes, len(files))
    return 1 if mistakes else 0


def _pipeline_files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix in (".yaml", ".yml") and file.is_file())
        else:
            yield path


def _show(fine: dict[Path, Pipeline], mistakes: Sequence[Mistake], files: int) -> None:
    out = results()
    for mistake in mistakes:
        out.print(_block(mistake))
    for file, pipeline in fine.items():
        gold = f", {len(pipeline.gold)} gold" if pipeline.gold else ""
        out.print(f"[green]ok[/] {escape(str(file))}: {len(pipeline.tables)} tables{gold}")
        for note in _notes(pipeline):
            out.print(f"   {note}", markup=False)
    if mistakes:
        bad = files - len(fine)
        notes().print(f"{len(mistakes)} mistakes in {bad} of {files} files", style="bold red")


def _notes(pipeline: Pipeline) -> Iterable[str]:
    """What works, and may surprise."""
    for name, gold in pipeline.gold.items():
        if gold.reads_clock:
            yield f"note: gold.{name} is recomputed whole in every run, because its query reads the clock"
            continue
        if gold.load == "replace" and traced(gold) is None:
            yield _whole(name, f"its partition column ({', '.join(gold.partition_by)}) cannot")
        if gold.load == "merge" and traced(gold) is None:
            yield _whole(name, f"none of its keys ({', '.join(gold.keys)}) can") + "; only what differs is written"


def _whole(name: str, untraced: str) -> str:
    return (
        f"note: gold.{name} is recomputed whole whenever its inputs change, because {untraced} be traced to one column "
        "of an input"
    )


def _block(mistake: Mistake) -> str:
    place = f"{mistake.file}:{mistake.line}:{mistake.column}" if mistake.line else mistake.file
    where = f" [cyan]{escape(mistake.path)}[/]:" if mistake.path else ""
    hint = f"\n    [green]{escape(mistake.hint)}[/]" if mistake.hint else ""
    return f"[bold]{escape(place)}:[/]{where} {escape(mistake.problem)}{hint}"
