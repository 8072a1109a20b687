"""Styles and scripts that stand in the pages themselves, and the policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files


@cache
def read(name: str) -> str:
    """A file beside this module: `theme.js`, `status/page.css`."""
    return files(__package__).joinpath(*name.split("/")).read_text(encoding="utf-8")


@cache
def policy(styles: str, *scripts: str) -> str:
    """The Content-Security-Policy of a page with these `scripts`, by their files; no other site may frame it.

    `styles` is a file as well, or a source such as `'unsafe-inline'`.
    """
    style = styles if styles.startswith("'") else _named(styles)
    return (
        f"default-src 'none'; style-src {style}; script-src {' '.join(map(_named, scripts))}; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
    )


def _named(file: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(read(file).encode()).digest()).decode()}'"
