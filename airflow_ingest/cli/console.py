"""Where the commands write: results to stdout, everything else to stderr."""

from rich.console import Console

__all__ = ["notes", "results"]


def results() -> Console:
    """For what was asked for. Lines are as long as they are unless a terminal sets their width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDE, soft_wrap=True)


def notes() -> Console:
    """For problems, progress and advice."""
    console = Console(stderr=True, highlight=False)
    return console if console.is_terminal else Console(stderr=True, highlight=False, width=_WIDE, soft_wrap=True)


_WIDE = 200
