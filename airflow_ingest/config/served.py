"""What the language has and this version does not serve yet: the one list that checks and the reference go by."""

from __future__ import annotations

from typing import Any

from airflow_ingest.config.report import Report
from airflow_ingest.config.values import KeyPath, quote, words

UNSERVED_KEYS = {
    "Source": words("rest kafka"),
}


def check_served(model: str, block: dict[str, Any], at: KeyPath, report: Report) -> None:
    """Report each key of a block, plain data of the model so named, that has a value and is not served yet."""
    for key in sorted(UNSERVED_KEYS[model] & block.keys()):
        if block[key] not in (None, [], {}):
            report.unserved((*at, key), quote(key))
