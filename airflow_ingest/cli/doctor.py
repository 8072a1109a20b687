"""`doctor`: is everything here that a run needs?"""

from collections.abc import Iterable

from rich.markup import escape

from airflow_ingest.cli.checks import CHECKS, Check
from airflow_ingest.cli.console import results
from airflow_ingest.runtime import RuntimeProblem

__all__ = ["examine"]


def examine(checks: Iterable[Check] = CHECKS) -> int:
    """Make the checks and print each outcome, with the remedy where there is one. Returns 1 if a needed one fails."""
    out, missing = results(), 0
    for check in checks:
        try:
            out.print(f"[green]ok[/]       {check.name}: {escape(check.look())}")
        except RuntimeProblem as problem:
            missing += check.needed
            label = "[bold red]missing[/]" if check.needed else "[yellow]warning[/]"
            out.print(f"{label}  {check.name}: {escape(problem.problem)}\n         {escape(problem.remedy)}")
    out.print("Ready." if not missing else f"{missing} of these must be mended before Spark can run on this machine.")
    return 1 if missing else 0
